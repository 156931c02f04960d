/// The parts of Documentation/Rulesets.md.
enum RulesetPage {
  static let introduction = """
    # The rules, and what is in them

    Two nftables tables of ours are all that there is: `inet containernetworking` for packets, `bridge containernetworking` for
    frames between a bridge's ports. Their chains and rules are always the same, and come first. Networks, endpoints and ports are
    elements of the sets and maps; the elements of each kind follow. [Reach.md](Reach.md) shows the effect,
    [Architecture.md](Architecture.md#how-a-packet-travels) a packet's way through the rules, and [Kernel.md](Kernel.md) one ruleset
    whole. The comment of each element names its record, or says that all records of the host share it; this page omits it
    ([Architecture.md](Architecture.md#several-records-on-one-host)). Rules and elements are as `nft -s list ruleset` prints them; a
    test makes this page and compares it.


    """

  static let chapters: [(heading: String, text: String, cases: [RulesetCase])] = [
    ("What networks and containers add", "Each is one transaction; so is its removal.", RulesetCase.networks),
    (
      "What policies change",
      "Against [a published port](#a-published-port), a network of both families with one container.",
      RulesetCase.policies
    ),
    (
      "What ports add",
      """
      Against [a container](#a-container) without ports. Localhost and hairpin need no elements: `output` looks into the same maps as
      `prerouting`, and `postrouting` knows by `endpoints4` who asks for a container of its own network.
      """, RulesetCase.ports
    ),
  ]

  static let end = """
    ## Macvlan networks

    They add nothing: their containers are on the wire of their parent, past the host's rules.

    """

  /// A table's chains with every rule, and its sets.
  static func text(of table: Ruleset.Table, missing: inout [String]) -> String {
    var text = "## table \(table.name)\n\n\(explain(table.name, Explanations.tables, &missing))\n\n"
    let family = table.name.prefix { $0 != " " }
    for chain in table.chains {
      text += "### chain \(chain.name)\n\n"
      if !chain.hook.isEmpty { text += "`\(chain.hook)`\n\n" }
      text += explain("\(family) \(chain.name)", Explanations.chains, &missing) + "\n\n| rule | why |\n|---|---|\n"
      for rule in chain.rules { text += "| `\(rule)` | \(explain(rule, Explanations.rules, &missing)) |\n" }
      text += "\n"
    }
    text += "### sets and maps of \(family)\n\n| set or map | elements | meaning of an element |\n|---|---|---|\n"
    for set in table.sets {
      text +=
        "| `\(set.name)` | `\(set.type)` | \(explain(Explanations.stem(set.name), Explanations.sets, &missing)) |\n"
    }
    return text + "\n"
  }

  private static func explain(_ key: String, _ all: [String: String], _ missing: inout [String]) -> String {
    guard let text = all[key] else {
      missing.append(key)
      return "?"
    }
    return text
  }

  /// A case's elements, or its differences from its base.
  static func text(of item: RulesetCase, _ own: Ruleset, from base: Ruleset?) -> String {
    let key = { (element: (set: String, element: String)) in "\(element.set) \(element.element)" }
    let (before, after) = (Set((base?.elements ?? []).map(key)), Set(own.elements.map(key)))
    var lines: [(sign: String, set: String, element: String)] = []
    lines += own.elements.filter { !before.contains(key($0)) }.map { (base == nil ? "" : "+", $0.set, $0.element) }
    lines += (base?.elements ?? []).filter { !after.contains(key($0)) }.map { ("−", $0.set, $0.element) }
    var text = "### \(item.title)\n\n\(item.text)\n\n"
    if let name = item.base { text += "Against \"\(name.filter { $0 != "`" })\":\n\n" }
    text += "| | set or map | element | meaning |\n|---|---|---|---|\n"
    for line in lines {
      let says = Explanations.sets[Explanations.stem(line.set)] ?? "?"
      text += "| \(line.sign) | `\(line.set)` | `\(line.element)` | \(line.sign == "−" ? "" : says) |\n"
    }
    return text + "\n"
  }
}
