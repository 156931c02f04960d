/// What callers ask a controller for, as the log and the metrics name it.
enum Verb: String, Sendable {
  case attach, detach, stop, connect, disconnect, publish, unpublish, prune
  case createNetwork = "create network"
  case removeNetwork = "remove network"
  case keepReady = "keep ready"
  case keepOnly = "keep only"
  case createEndpoint = "create endpoint"
  case joinEndpoint = "join endpoint"
  case leaveEndpoint = "leave endpoint"
  case deleteEndpoint = "delete endpoint"
  case reconcile
  case removeAll = "remove all"
}
