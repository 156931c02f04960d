import Dispatch
import Netlink
import NetworkPrimitives

/// One step of a teardown that goes on whatever happens: the failure, unless the thing was gone already.
func attempt(_ step: () throws(NetworkError) -> Void) -> [NetworkError] {
  do throws(NetworkError) {
    try step()
    return []
  } catch { return error.code == .notFound ? [] : [error] }
}

extension NetworkError {
  private static let leftoversOperation = "take back"

  /// What could not be taken back after this failure.
  var leftovers: [NetworkError] {
    causes.last?.operation == Self.leftoversOperation ? causes[causes.count - 1].causes : []
  }

  /// This failure alone.
  var withoutLeftovers: NetworkError {
    var error = self
    if !leftovers.isEmpty { error.causes.removeLast() }
    return error
  }

  /// This failure, and what could not be taken back after it.
  func with(leftovers: [NetworkError]) -> NetworkError {
    guard !leftovers.isEmpty else { return self }
    var error = self
    error.causes.append(
      NetworkError(leftovers[0].code, operation: Self.leftoversOperation, causes: leftovers))
    return error
  }
}

extension NetworkNamespace {
  /// Deletes a link, and returns when nothing can be sent or received by it any more, nor can it be found: not only when the
  /// kernel has freed it, which ``deletions`` waits for.
  func delete(_ request: NetlinkRequest) throws(NetworkError) {
    let connection = try connection(.route)
    deletions.enter()
    try connection.begin(request) { [deletions] in deletions.leave() }
  }

  /// Sends requests to this namespace's kernel at once, and throws the first refusal.
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
