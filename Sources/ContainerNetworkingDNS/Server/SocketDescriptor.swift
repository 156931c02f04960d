import SystemPackage

/// What is opened before it becomes a channel; NIO has something else of the descriptor's own name.
typealias SocketDescriptor = FileDescriptor
