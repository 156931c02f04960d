// One import for everything: values, errors and the kernel seam come along.
@_exported public import AddressPools
@_exported public import Netlink
@_exported public import NetworkPrimitives
