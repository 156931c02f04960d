import AdapterSupport
import ContainerNetworking

/// An error in the form of the CNI specification: a code, one sentence, and the details.
struct CNIError: Error, Sendable {
  var code: Code
  var message: String
  var details = ""

  init(_ code: Code, _ message: String, details: String = "") {
    self.code = code
    self.message = message
    self.details = details
  }

  /// Codes up to 99 are the specification's ("Error" in its section 2); those from 100 are this plugin's.
  enum Code: Int, Sendable {
    case incompatibleVersion = 1
    case unsupportedField = 2
    case unknownContainer = 3
    case invalidEnvironment = 4
    case inputOutput = 5
    case undecodable = 6
    case invalidConfiguration = 7
    case namespace = 8
    case tryAgain = 11
    case unavailable = 50
    /// An address, a port or a name has another owner.
    case inUse = 101
    /// No address or port is left.
    case exhausted = 102
    /// The kernel refused the request, or the process lacks a privilege.
    case kernel = 103
    /// The record on disk cannot be read or written.
    case record = 104
    /// CHECK found a difference from ADD's result.
    case differs = 105
  }

  /// Converts an error of the library; the code tells which side must change something.
  init(_ error: NetworkError) {
    code =
      switch error.code {
      case .invalidValue, .conflictingOptions, .refused, .ambiguous: .invalidConfiguration
      case .unsupported: .unsupportedField
      case .alreadyExists, .inUse: .inUse
      case .exhausted: .exhausted
      case .damagedRecord: .record
      case .interrupted, .replyLost: .tryAgain
      case .closed: .namespace
      default: .kernel
      }
    message = "\(error.operation): \(error.reason.isEmpty ? error.code.description : error.reason)"
    details = error.description
  }

  /// The printed form.
  func json(_ version: SpecVersion) -> JSON {
    .compact([
      "cniVersion": .text(version.rawValue), "code": .number(Int64(code.rawValue)), "msg": .text(message),
      "details": details.isEmpty ? nil : .text(details),
    ])
  }
}

/// Calls the library, and converts its errors to the specification's form.
func calling<Value>(
  _ body: () async throws(NetworkError) -> Value
) async throws(CNIError) -> Value {
  do throws(NetworkError) { return try await body() } catch { throw CNIError(error) }
}

extension FieldReader {
  /// - Throws: Every fault; without any, everything unsupported.
  func check() throws(CNIError) {
    if !faults.isEmpty { throw CNIError(.invalidConfiguration, faults.joined(separator: "; ")) }
    if !unsupported.isEmpty { throw CNIError(.unsupportedField, unsupported.joined(separator: "; ")) }
  }
}
