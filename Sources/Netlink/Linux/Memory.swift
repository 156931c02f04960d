import CContainerNetworking

/// The heap.
package enum Memory {
  /// Returns freed memory to the system: after a task with a short peak, and before long waiting. Takes about a
  /// millisecond.
  package static func returnFreed() { cn_memory_trim() }
}
