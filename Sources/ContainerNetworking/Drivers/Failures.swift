import Dispatch
import Netlink
public import NetworkPrimitives

/// Runs one step of a teardown that continues after failures, and returns the failure; a missing object is none.
func attempt(_ step: () throws(NetworkError) -> Void) -> [NetworkError] {
  do throws(NetworkError) {
    try step()
    return []
  } catch { return error.code == .notFound ? [] : [error] }
}

/// Takes one step for each element, even after a failure, and throws the first one.
func all<Element>(
  _ elements: some Sequence<Element>, _ step: (Element) throws(NetworkError) -> Void
) throws(NetworkError) {
  var first: NetworkError?
  for element in elements {
    do throws(NetworkError) { try step(element) } catch { first = first ?? error }
  }
  if let first { throw first }
}

extension NetworkError {
  private static let leftoversOperation = "take back"

  /// The objects that the undo of this failure could not remove, as a ``Driver`` names them.
  public var leftovers: [NetworkError] {
    causes.last?.operation == Self.leftoversOperation ? causes[causes.count - 1].causes : []
  }

  /// This failure alone.
  var withoutLeftovers: NetworkError {
    var error = self
    if !leftovers.isEmpty { error.causes.removeLast() }
    return error
  }

  /// This failure with objects that the undo could not remove: a ``Driver`` throws it, and the network or the endpoint stays on
  /// record for the next attempt.
  public func with(leftovers: [NetworkError]) -> NetworkError {
    guard !leftovers.isEmpty else { return self }
    var error = self
    error.causes.append(
      NetworkError(leftovers[0].code, operation: Self.leftoversOperation, causes: leftovers))
    return error
  }
}

extension NetworkNamespace {
  /// Deletes a link, and returns when it can no longer be found, or send or receive. ``deletions`` waits until the
  /// kernel has freed it.
  func delete(_ request: NetlinkRequest) throws(NetworkError) {
    let connection = try connection(.route)
    deletions.enter()
    try connection.begin(request) { [deletions] in deletions.leave() }
  }

  /// Sends requests to this namespace's kernel together, and throws the first refusal.
  ///
  /// - Returns: The last reply; nil for none.
  @discardableResult
  func perform(_ requests: [NetlinkRequest]) throws(NetworkError) -> NetlinkMessage? {
    var last: NetlinkMessage?
    var refusal: NetworkError?
    try connection(.route).perform(requests) {
      last = $1
    } onRefusal: {
      refusal = refusal ?? $1
    }
    if let refusal { throw refusal }
    return last
  }
}
