import CContainerNetworking

/// The heap.
package enum Memory {
  /// Gives back what was freed: after a task that needed much for a moment, and before long waiting. It takes about a
  /// millisecond.
  package static func returnFreed() { cn_memory_trim() }
}
