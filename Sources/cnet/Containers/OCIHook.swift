import AdapterSupport
import ArgumentParser
import ContainerNetworking
import FoundationEssentials
import SystemPackage

struct OCIHook: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "oci-hook",
    abstract: "Put a container of an OCI runtime on networks, as its hooks createRuntime and poststop.",
    discussion: """
      The runtime writes the container's state to standard input. The annotation \(Self.attachment) holds options of \
      cnet attach: a container with it is attached at its creation, and detached at its end. Other containers are \
      left alone. The container's name is its id.
      """)

  @OptionGroup
  var global: GlobalOptions

  /// What a container's configuration says of its networks.
  static let attachment = "com.containernetworking.attach"

  func run() async throws {
    let state = try ContainerState(ProgramInput.read(.standardInput, "standard input"))
    guard let words = state.annotations[Self.attachment] else { return }
    let attached = Attachments(in: try global.place().directory, of: "oci")
    guard let process = state.process else {
      // A runtime says it also of a container that it could not create, whose name may be another's.
      guard attached.has(state.id) else { return }
      try await global.controller().ensureDetached(state.id)
      return attached.remove(state.id)
    }
    let wish = try Self.read(words)
    let namespace = try NetworkNamespace.open(process: process)
    let controller = try await global.controller()
    let isNew = try attached.add(state.id)
    do throws(NetworkError) {
      if !isNew { try await Self.forgetFormer(state.id, controller) }
      _ = try await wish.attach(state.id, with: controller, namespace: namespace)
    } catch {
      if isNew { attached.remove(state.id) }
      throw error
    }
  }

  /// Takes a container away that had the name before: its runtime was killed before it could say that it ended.
  private static func forgetFormer(_ name: String, _ controller: NetworkController) async throws(NetworkError) {
    do throws(NetworkError) { _ = try await controller.sandbox(name) } catch {
      if error.code == .closed { try await controller.ensureDetached(name) }
      try error.rethrow(unless: .closed, .notFound)
    }
  }

  /// What an annotation says.
  private static func read(_ words: String) throws -> AttachArguments {
    let arguments = words.split(separator: " ").map(String.init)
    do { return try AttachArguments.parse(arguments) } catch {
      throw NetworkError(
        .invalidValue, operation: "read the annotation \(attachment)",
        reason: "\"\(words)\" is not valid for cnet attach: \(AttachArguments.message(for: error))")
    }
  }
}

/// The state of a container ("State" in runtime.md of the OCI runtime specification).
struct ContainerState {
  var id: String
  /// Its first process; nil once it is gone, where one runtime leaves the number out and another says 0.
  var process: Int32?
  var annotations: [String: String]

  /// Reads it.
  ///
  /// - Throws: `.invalidValue` with all that is wrong.
  init(_ input: [UInt8]) throws(NetworkError) {
    let operation = "read the container's state"
    guard let json = try? JSONDecoder().decode(JSON.self, from: Data(input)), json.fields != nil else {
      throw NetworkError(
        .invalidValue, operation: operation,
        reason: "standard input is not a JSON object; a runtime writes the state of the container there")
    }
    var reader = FieldReader()
    id = reader.text("id", of: json) ?? ""
    if id.isEmpty { reader.fault("id", "it is missing; it is the id of the container") }
    if id.contains("/") || id == "." || id == ".." { reader.fault("id", "\"\(id)\" is not a name of a container") }
    let status = reader.text("status", of: json) ?? ""
    let number = reader.number("pid", of: json) ?? 0
    annotations = [:]
    for (name, value) in reader.object("annotations", of: json)?.fields ?? [:] {
      annotations[name] = value.plain
    }
    let isGone = status == "stopped" || number == 0
    process = isGone ? nil : Int32(exactly: number)
    if !isGone, process ?? 0 <= 0 { reader.fault("pid", "\(number) is not a process") }
    try reader.check(operation)
  }
}
