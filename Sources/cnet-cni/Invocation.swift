import NetworkPrimitives

/// A runtime's environment variables ("Parameters" in section 2 of the CNI specification).
struct Invocation: Sendable {
  enum Verb: String, Sendable {
    case add = "ADD"
    case delete = "DEL"
    case check = "CHECK"
    case collectGarbage = "GC"
    case status = "STATUS"
    case version = "VERSION"

    /// The first version of the specification with this verb.
    var since: SpecVersion {
      switch self {
      case .add, .delete, .version: .v010
      case .check: .v040
      case .collectGarbage, .status: .v110
      }
    }
  }

  var verb: Verb
  var containerID: String
  /// The path of the container's namespace; empty if DEL comes after its deletion.
  var namespace: String
  var interface: String
  var arguments: CNIArguments

  /// Reads the environment.
  ///
  /// - Throws: `invalidEnvironment`, with every missing or invalid variable.
  init(_ environment: [String: String]) throws(CNIError) {
    let text = environment["CNI_COMMAND"] ?? ""
    guard let verb = Verb(rawValue: text) else {
      throw CNIError(
        .invalidEnvironment,
        "CNI_COMMAND is \"\(text)\"; it is one of ADD, DEL, CHECK, GC, STATUS and VERSION")
    }
    self.verb = verb
    containerID = environment["CNI_CONTAINERID"] ?? ""
    namespace = environment["CNI_NETNS"] ?? ""
    interface = environment["CNI_IFNAME"] ?? ""
    arguments = CNIArguments()
    guard verb == .add || verb == .delete || verb == .check else { return }
    var faults: [String] = []
    if let fault = Self.fault(ofContainerID: containerID) { faults.append(fault) }
    if namespace.isEmpty, verb != .delete {
      faults.append("CNI_NETNS is missing; it is the path of the container's network namespace")
    }
    if let fault = Self.fault(ofInterface: interface) { faults.append(fault) }
    guard faults.isEmpty else { throw CNIError(.invalidEnvironment, faults.joined(separator: "; ")) }
    arguments = try CNIArguments(environment["CNI_ARGS"] ?? "")
  }

  private static func fault(ofContainerID id: String) -> String? {
    guard let first = id.utf8.first else { return "CNI_CONTAINERID is missing; it is the container's id" }
    func isAlphanumeric(_ byte: UInt8) -> Bool {
      (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
    }
    guard isAlphanumeric(first), id.utf8.allSatisfy({ isAlphanumeric($0) || [0x5f, 0x2e, 0x2d].contains($0) }) else {
      return "CNI_CONTAINERID is \"\(id)\"; it begins with a letter or digit, and goes on with those and _ . -"
    }
    return nil
  }

  private static func fault(ofInterface name: String) -> String? {
    guard !name.isEmpty else { return "CNI_IFNAME is missing; it is the interface's name in the container" }
    guard (try? InterfaceName(name)) != nil, !name.contains(":") else {
      return "CNI_IFNAME is \"\(name)\"; a name has 1 to 15 characters, none of them a space, / or :"
    }
    return nil
  }
}

/// `CNI_ARGS`, which is `KEY=VALUE;…`.
struct CNIArguments: Sendable {
  var address: IPAddress?
  var macAddress: MACAddress?
  var podName: String?

  init() {}

  /// Reads the text.
  ///
  /// - Throws: `invalidEnvironment` for a part without a value, and for an unknown key, unless `IgnoreUnknown=1` is
  ///   included.
  init(_ text: String) throws(CNIError) {
    var unknown: [String] = []
    var ignoresUnknown = false
    for part in text.split(separator: ";") {
      guard let equals = part.firstIndex(of: "=") else {
        throw CNIError(.invalidEnvironment, "CNI_ARGS has \"\(part)\"; each part is KEY=VALUE, as in IP=10.88.0.9")
      }
      let (key, value) = (String(part[..<equals]), String(part[part.index(after: equals)...]))
      switch key {
      case "IgnoreUnknown": ignoresUnknown = ["1", "t", "T", "true", "TRUE", "True"].contains(value)
      case "IP" where value.isEmpty, "MAC" where value.isEmpty: continue
      case "IP":
        do throws(NetworkError) {
          address = try IPAddress(String(value.prefix { $0 != "/" }))
        } catch { throw CNIError(.invalidEnvironment, "CNI_ARGS has IP=\(value): \(error.reason)") }
      case "MAC":
        do throws(NetworkError) { macAddress = try MACAddress(value) } catch {
          throw CNIError(.invalidEnvironment, "CNI_ARGS has MAC=\(value): \(error.reason)")
        }
      case "K8S_POD_NAME": podName = value
      case "K8S_POD_NAMESPACE", "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID": continue
      default: unknown.append(key)
      }
    }
    guard unknown.isEmpty || ignoresUnknown else {
      throw CNIError(
        .invalidEnvironment,
        "CNI_ARGS has \(unknown.joined(separator: ", ")); known are IP, MAC and K8S_POD_NAME, and IgnoreUnknown=1 passes "
          + "over others")
    }
  }
}
