import SystemPackage

/// A descriptor before it becomes a channel; NIO has another type named `FileDescriptor`.
typealias SocketDescriptor = FileDescriptor
