// One import for everything: values, errors, the kernel seam, and the paths and descriptors of their signatures come along.
@_exported public import AddressPools
@_exported public import Netlink
@_exported public import NetworkPrimitives
@_exported public import SystemPackage
