import NetworkPrimitives

/// Reads fields in the order of their declaration, as for endpoints.
extension SandboxRecord {
  /// - Returns: nil for a text that needs Foundation's decoder.
  package init?(_ scanner: inout RecordScanner) {
    guard scanner.open(),
      scanner.field("container"), let container = scanner.text(.container),
      scanner.field("mode"), let mode = scanner.text().flatMap({ try? NetworkMode($0) }),
      scanner.field("sandboxID"), let sandboxID = scanner.text(.sandbox)
    else { return nil }
    self.container = container
    self.mode = mode
    self.sandboxID = sandboxID
    if scanner.field("namespacePath") {
      guard let path = scanner.text() else { return nil }
      namespacePath = path
    }
    if scanner.field("namespaceInode") {
      guard let inode = scanner.number(UInt64.self) else { return nil }
      namespaceInode = inode
    }
    if scanner.field("namespaceCookie") {
      guard let cookie = scanner.number(UInt64.self) else { return nil }
      namespaceCookie = cookie
    }
    if scanner.field("viewpoint") {
      guard let text = scanner.text() else { return nil }
      viewpoint = text
    }
    guard scanner.field("ownsNamespace"), let ownsNamespace = scanner.truth(),
      // Few have a warning.
      scanner.field("warnings"), let warnings = scanner.list({ (_) -> AttachWarning? in nil })
    else { return nil }
    self.ownsNamespace = ownsNamespace
    self.warnings = warnings
    if scanner.field("names") {
      guard let options = NameOptions(&scanner) else { return nil }
      names = options
    }
    if scanner.field("filesDirectory") {
      guard let path = scanner.text() else { return nil }
      filesDirectory = path
    }
    if scanner.field("keepsAddresses") {
      guard let keeps = scanner.truth() else { return nil }
      keepsAddresses = keeps
    }
    if scanner.field("handsOutLink") {
      guard let handsOut = scanner.truth() else { return nil }
      handsOutLink = handsOut
    }
    guard scanner.field("phase"), let phase = scanner.value(Phase.self), scanner.field("owner"),
      let owner = scanner.text(.owner), scanner.close(), scanner.isAtEnd
    else { return nil }
    self.phase = phase
    self.owner = owner
  }
}

extension NameOptions {
  fileprivate init?(_ scanner: inout RecordScanner) {
    guard scanner.open() else { return nil }
    var hostname: String?
    var domainname: String?
    if scanner.field("hostname") {
      guard let name = scanner.text() else { return nil }
      hostname = name
    }
    if scanner.field("domainname") {
      guard let name = scanner.text() else { return nil }
      domainname = name
    }
    guard scanner.field("dns"), let dns = scanner.list({ $0.address() }),
      scanner.field("dnsSearch"), let dnsSearch = scanner.list({ $0.text() }),
      scanner.field("dnsOptions"), let dnsOptions = scanner.list({ $0.text() }),
      // Few have one.
      scanner.field("extraHosts"), let extraHosts = scanner.list({ (_) -> ExtraHost? in nil }),
      scanner.close()
    else { return nil }
    self.init(
      hostname: hostname, domainname: domainname, dns: dns, dnsSearch: dnsSearch, dnsOptions: dnsOptions,
      extraHosts: extraHosts)
  }
}
