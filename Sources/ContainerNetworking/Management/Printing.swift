import NetworkPrimitives

// One line each for people; all fields for a debugger.

extension Sandbox: CustomStringConvertible, CustomDebugStringConvertible {
  /// `web (blue): eth0 192.168.50.2/24, in /run/netns/web`.
  public var description: String {
    let interfaces = endpoints.map { endpoint in
      "\(endpoint.interface) \(endpoint.addresses.map(\.description).joined(separator: " "))"
    }
    let remark = warnings.isEmpty ? nil : count(warnings.count, "warning")
    return "\(container) (\(mode)): \(sentence(interfaces + ["in \(namespace.path)", remark]))"
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension AttachRequest: CustomStringConvertible, CustomDebugStringConvertible {
  /// `web to blue`.
  public var description: String { "\(container) to \(mode)" }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension NetworkInspection: CustomStringConvertible, CustomDebugStringConvertible {
  /// The network with its numbers of endpoints and addresses:
  /// `…; 2 endpoints; 192.168.50.0/24: 4 in use, 252 available`.
  public var description: String {
    ([network.description, count(endpoints.count, "endpoint")] + usage.map(\.description)).joined(separator: "; ")
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension NetworkInspection.SubnetUsage: CustomStringConvertible, CustomDebugStringConvertible {
  /// `192.168.50.0/24: 4 in use, 252 available`.
  public var description: String { "\(subnet): \(inUse) in use, \(available) available" }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension Difference: CustomDebugStringConvertible {
  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension Obstacle: CustomDebugStringConvertible {
  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension ReconcileReport: CustomStringConvertible, CustomDebugStringConvertible {
  /// `3 differences found, 1 remaining, 1 failure`.
  public var description: String {
    sentence([
      "\(count(found.count, "difference")) found", "\(remaining.count) remaining", count(failures.count, "failure"),
    ])
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension PruneReport: CustomStringConvertible, CustomDebugStringConvertible {
  /// `removed blue, green; 1 failure`.
  public var description: String {
    let names = removed.isEmpty ? "nothing" : removed.map(\.name).joined(separator: ", ")
    return "removed \(names)\(failures.isEmpty ? "" : "; \(count(failures.count, "failure"))")"
  }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension ReadySandboxes: CustomStringConvertible, CustomDebugStringConvertible {
  /// `8 of 10 ready`.
  public var description: String { "\(count) of \(wanted) ready\(failure.map { ": \($0.operation)" } ?? "")" }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension NetworkNamespace: CustomStringConvertible, CustomDebugStringConvertible {
  /// `net:[4026532201] at /run/netns/blue`.
  public var description: String { "\(identity) at \(path)" }

  /// The same.
  public var debugDescription: String { description }
}

extension NamedNamespace: CustomStringConvertible, CustomDebugStringConvertible {
  /// `blue net:[4026532201]`.
  public var description: String { "\(name) \(identity)" }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}

extension SandboxFiles: CustomStringConvertible, CustomDebugStringConvertible {
  /// The directory.
  public var description: String { "\(directory)" }

  /// All fields.
  public var debugDescription: String { allFields(of: self) }
}
