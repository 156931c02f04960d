// One import for addresses and errors too, which names and messages are made of.
@_exported public import NetworkPrimitives
