import AdapterSupport
import ContainerNetworking

/// The part of Go's templates (text/template) that Docker's `--format` is used for: fields, variables, `range`, `if`,
/// `with`, pipes, `index` and the functions of ``TemplateFunctions``; `\t` and `\n` in the text.
struct Template {
  private let nodes: [TemplateNode]
  private let source: String

  /// - Throws: `.invalidValue` for an invalid or unsupported template.
  init(_ text: String) throws(NetworkError) {
    source = text
    do throws(TemplateFault) { nodes = try TemplateParser.nodes(text) } catch { throw error.error(in: text) }
  }

  /// The text for one value.
  ///
  /// - Throws: `.invalidValue` for an unknown field, listing the known ones.
  func render(_ value: JSON) throws(NetworkError) -> String {
    var rendering = TemplateRendering(root: value)
    do throws(TemplateFault) { return try rendering.text(of: nodes, value) } catch { throw error.error(in: source) }
  }

  /// Replaces each field by the result of `title` for its name.
  func header(_ title: (String) -> String) -> String {
    nodes.map { node in
      switch node {
      case .text(let text): text
      case .print(let pipeline): pipeline.name.map(title) ?? ""
      case .range(_, let pipeline, _, _), .branch(_, _, let pipeline, _, _): pipeline.name.map(title) ?? ""
      case .assign: ""
      }
    }.joined()
  }
}

/// A fault of a template.
struct TemplateFault: Error {
  var why: String

  init(_ why: String) { self.why = why }

  fileprivate func error(in source: String) -> NetworkError {
    NetworkError(
      .invalidValue, operation: "read format \"\(source)\"",
      reason: "\(why); right are {{.Name}}, {{json .Labels}}, {{index .Options \"mtu\"}} and "
        + "{{range .IPAM.Config}}{{.Subnet}}{{end}}")
  }
}

/// A part of a template.
indirect enum TemplateNode {
  case text(String)
  case print(TemplatePipeline)
  /// With the variables for each key and element.
  case range([String], TemplatePipeline, [TemplateNode], otherwise: [TemplateNode])
  /// `if`, or `with`, which makes the value the dot.
  case branch(isWith: Bool, [String], TemplatePipeline, [TemplateNode], otherwise: [TemplateNode])
  case assign(String, TemplatePipeline)
}

/// Calls, each with the result of the one before.
struct TemplatePipeline {
  var calls: [TemplateCall]

  /// The last name of its first field.
  fileprivate var name: String? {
    for call in calls {
      for operand in [call.head] + call.arguments {
        switch operand {
        case .field(let path) where !path.isEmpty, .variable(_, let path) where !path.isEmpty: return path.last
        case .group(let inner, let path): return path.last ?? inner.name
        default: continue
        }
      }
    }
    return nil
  }
}

/// A value, or a function with its arguments.
struct TemplateCall {
  var head: TemplateOperand
  var arguments: [TemplateOperand]
}

/// An operand of a call.
indirect enum TemplateOperand {
  /// Names below the dot; empty for the dot itself.
  case field([String])
  /// `$name.A.B`; without a name, the template's own value.
  case variable(String, [String])
  case literal(JSON)
  case group(TemplatePipeline, [String])
  case function(String)
}
