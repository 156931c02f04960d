import Netlink
import NetworkPrimitives
import SystemPackage

// Keys are the properties' names and are stable; a missing key has no value or an empty list. Unknown keys are ignored:
// results of a later version have more.

extension CodingUserInfoKey {
  /// The kernel (`Kernel`) whose namespaces a decoder of ``Sandbox`` opens; `LinuxKernel` without it.
  public static let networkKernel: CodingUserInfoKey = {
    guard let key = CodingUserInfoKey(rawValue: "ContainerNetworking.kernel") else {
      preconditionFailure("a text is always a key")
    }
    return key
  }()
}

extension Sandbox: Codable {
  private enum CodingKeys: String, CodingKey {
    case container, id, mode, namespace, endpoints, files, hostname, domainname, warnings
  }

  private struct Place: Codable {
    var path: String
    var inode: UInt64?
  }

  /// Decodes a sandbox, and opens its namespace.
  ///
  /// - Throws: `DecodingError` when the path opens no namespace, or another than the encoded one.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    let place = try fields.decode(Place.self, forKey: .namespace)
    let kernel = decoder.userInfo[.networkKernel] as? any Kernel ?? LinuxKernel()
    let opened = try decoder.checked { () throws(NetworkError) in
      try NetworkNamespace.open(at: FilePath(place.path), on: kernel)
    }
    guard place.inode == nil || place.inode == opened.identity.inode else {
      throw DecodingError.dataCorruptedError(
        forKey: .namespace, in: fields,
        debugDescription: "\(place.path) opens \(opened.identity), and the sandbox had net:[\(place.inode ?? 0)]; "
          + "its namespace is gone")
    }
    self.init(
      container: try fields.decode(String.self, forKey: .container), id: try fields.decode(String.self, forKey: .id),
      mode: try fields.decode(NetworkMode.self, forKey: .mode), namespace: opened,
      endpoints: try fields.decodeIfPresent([Endpoint].self, forKey: .endpoints) ?? [],
      files: try fields.decodeIfPresent(String.self, forKey: .files).map { SandboxFiles(directory: FilePath($0)) },
      hostname: try fields.decodeIfPresent(String.self, forKey: .hostname),
      domainname: try fields.decodeIfPresent(String.self, forKey: .domainname),
      warnings: try fields.decodeIfPresent([AttachWarning].self, forKey: .warnings) ?? [])
  }

  /// Encodes the sandbox, with a path that opens its namespace: ``NetworkNamespace/path``.
  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(container, forKey: .container)
    try fields.encode(id, forKey: .id)
    try fields.encode(mode, forKey: .mode)
    try fields.encode(Place(path: namespace.path.string, inode: namespace.identity.inode), forKey: .namespace)
    try fields.encode(endpoints, forKey: .endpoints)
    try fields.encodeIfPresent(files?.directory.string, forKey: .files)
    try fields.encodeIfPresent(hostname, forKey: .hostname)
    try fields.encodeIfPresent(domainname, forKey: .domainname)
    try fields.encode(warnings, forKey: .warnings)
  }
}
