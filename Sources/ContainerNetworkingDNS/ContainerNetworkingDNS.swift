// One import for addresses and errors too, the parts of names and messages.
@_exported public import NetworkPrimitives
