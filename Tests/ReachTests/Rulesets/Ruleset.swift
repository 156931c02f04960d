/// The parsed output of `nft -s list ruleset`.
struct Ruleset: Equatable {
  struct Table: Equatable {
    /// Family and name.
    var name: String
    var sets: [NamedSet] = []
    var chains: [Chain] = []
  }

  struct NamedSet: Equatable {
    var name: String
    var isMap: Bool
    /// Of its elements.
    var type = ""
    var elements: [String] = []
  }

  struct Chain: Equatable {
    var name: String
    /// Type, hook and priority; empty of a chain that others jump to.
    var hook = ""
    var rules: [String] = []
  }

  var tables: [Table] = []

  init(_ text: String) {
    var isElements = false
    for line in text.split(separator: "\n") {
      let line = line.trimmingPrefix { $0 == "\t" || $0 == " " }
      let words = line.split(separator: " ").map(String.init)
      if isElements {
        add(line)
        isElements = !line.hasSuffix("}")
      } else if words.first == "table" {
        tables.append(Table(name: words[1...2].joined(separator: " ")))
      } else if words.count == 3, words[2] == "{", words[0] != "elements" {
        let table = tables.count - 1
        if words[0] == "chain" {
          tables[table].chains.append(Chain(name: words[1]))
        } else {
          tables[table].sets.append(NamedSet(name: words[1], isMap: words[0] == "map"))
        }
      } else if line == "}" {
        continue
      } else if line.hasPrefix("elements = {") {
        add(line.dropFirst("elements = {".count))
        isElements = !line.hasSuffix("}")
      } else if let table = tables.indices.last, let chain = tables[table].chains.indices.last {
        if words.first == "type" {
          tables[table].chains[chain].hook = line.split(separator: ";")[0].description
        } else {
          tables[table].chains[chain].rules.append(String(line))
        }
      } else if let table = tables.indices.last, let set = tables[table].sets.indices.last, words.first == "type" {
        tables[table].sets[set].type = words.dropFirst().joined(separator: " ")
      }
    }
  }

  private mutating func add(_ line: some StringProtocol) {
    let table = tables.count - 1
    let set = tables[table].sets.count - 1
    for element in line.split(separator: ",") {
      let text = element.trimmingPrefix { $0 == " " }
      let end = text.hasSuffix(" }") ? text.dropLast(2) : text[...]
      if !end.isEmpty, end != "}" { tables[table].sets[set].elements.append(String(end)) }
    }
  }

  /// Without elements: the part that does not depend on the networks.
  var rules: Ruleset {
    var copy = self
    for table in copy.tables.indices {
      for set in copy.tables[table].sets.indices { copy.tables[table].sets[set].elements = [] }
    }
    return copy
  }

  /// Each element with its set, sorted as the sets are.
  var elements: [(set: String, element: String)] {
    tables.flatMap(\.sets).flatMap { set in set.elements.sorted().map { (set.name, $0) } }
  }
}
