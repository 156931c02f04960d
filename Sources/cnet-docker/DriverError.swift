import AdapterSupport
import ContainerNetworking

/// A failure in the form of Docker's plugin protocol: an object with the field `Err`.
struct DriverError: Error, Sendable {
  /// The status of the HTTP response, for what a request is itself.
  enum Status: Int, Sendable {
    case ok = 200
    case badRequest = 400
    case notFound = 404
    case methodNotAllowed = 405
    case payloadTooLarge = 413
  }

  var status: Status
  var message: String

  init(_ status: Status, _ message: String) {
    self.status = status
    self.message = message
  }

  /// Docker shows the sentence to its user; a request that cannot be met is no failure of the protocol.
  init(_ error: NetworkError) { self.init(.ok, error.sentence) }

  var json: JSON { .object(["Err": .text(message)]) }
}
