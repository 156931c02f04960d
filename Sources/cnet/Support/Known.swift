import ContainerNetworking
import FoundationEssentials

/// The recorded names for a shell's completion. Creates nothing; unreadable records have no names.
enum Known {
  static let containers: @Sendable ([String], Int, String) -> [String] = { words, _, prefix in
    matching(prefix, records(words).containers)
  }

  static let networks: @Sendable ([String], Int, String) -> [String] = { words, _, prefix in
    matching(prefix, records(words).networks)
  }

  static let containersAndNetworks: @Sendable ([String], Int, String) -> [String] = { words, _, prefix in
    let records = records(words)
    return matching(prefix, records.containers + records.networks)
  }

  /// The values of `--network`.
  static let modes: @Sendable ([String], Int, String) -> [String] = { words, _, prefix in
    let records = records(words)
    return matching(prefix, records.networks + records.containers.map { "container:\($0)" })
  }

  private static func matching(_ prefix: String, _ names: [String]) -> [String] {
    Set(names).filter { $0.hasPrefix(prefix) }.sorted()
  }

  private static func records(_ words: [String]) -> (containers: [String], networks: [String]) {
    var (containers, networks) = ([String](), ["bridge", "host", "none"])
    let directory = directory(words)
    guard FileManager.default.fileExists(atPath: directory),
      let store = try? StatePlace.store(at: absolutePath(directory)),
      let delta = try? store.read(since: 0)
    else { return ([], networks) }
    for change in delta.changes {
      switch change {
      case .save(.sandbox(let record)): containers.append(record.container)
      case .save(.network(let network)): networks.append(network.name)
      default: break
      }
    }
    return (containers, networks)
  }

  /// The state directory of a command line.
  private static func directory(_ words: [String]) -> String {
    let name = "--state-dir"
    let said = words.enumerated().compactMap { index, word in
      word == name
        ? words.dropFirst(index + 1).first : word.hasPrefix("\(name)=") ? String(word.dropFirst(name.count + 1)) : nil
    }
    return said.last ?? ProcessInfo.processInfo.environment["CNET_STATE_DIR"] ?? StatePlace.usualDirectory
  }
}
