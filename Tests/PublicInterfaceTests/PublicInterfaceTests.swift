import Foundation
import Testing

/// The public interface is Swift's own: C stays behind it.
@Suite struct PublicInterfaceTests {
  @Test func noPublicDeclarationMentionsC() throws {
    for (module, graph) in try SymbolGraph.extract() {
      #expect(!graph.symbols.isEmpty, "\(module)")
      for symbol in graph.symbols {
        let foreign = symbol.foreignTypes
        #expect(foreign == [], "\(module).\(symbol.name)")
      }
    }
  }

  /// The same search of internal declarations finds C types, which exist there: it would not miss them in public ones.
  @Test func lookFindsCWhereItIs() throws {
    let netlink = try #require(try SymbolGraph.extract(access: "internal")["Netlink"])
    #expect(netlink.symbols.contains { $0.foreignTypes.contains("nf_tables_msg_types") })
  }

  @Test func canaryMentionsEveryPublicType() throws {
    let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Canary.swift")
    let text = try String(contentsOf: path, encoding: .utf8)
    let mentioned = Set(
      text.matches(of: #/canary\(_: (?:any )?(.+)\) \{\}/#).map { String($0.1).replacing(#/<\w+>/#, with: "") })
    let kinds = ["swift.struct", "swift.enum", "swift.class", "swift.protocol"]
    let graphs = try SymbolGraph.extract()
    for module in SymbolGraph.imported {
      for symbol in try #require(graphs[module]).symbols where kinds.contains(symbol.kind.identifier) {
        let isMentioned = mentioned.contains(symbol.name)
        #expect(isMentioned, "add to Canary.swift: public func canary(_: \(symbol.name)) {}")
      }
    }
  }
}
