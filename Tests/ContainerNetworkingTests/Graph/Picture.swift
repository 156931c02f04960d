import ContainerNetworking
import Foundation
import FoundationXML

/// The contents of an SVG file, as any XML parser finds them.
struct Picture {
  struct Box: Hashable {
    var x, y, width, height: Double
    func contains(_ other: Box) -> Bool {
      x <= other.x && y <= other.y && x + width >= other.x + other.width && y + height >= other.y + other.height
    }
    func intersects(_ other: Box) -> Bool {
      x < other.x + other.width && other.x < x + width && y < other.y + other.height && other.y < y + height
    }
  }

  var size = (width: 0.0, height: 0.0)
  var boxes: [Box] = []
  var texts: [String] = []
  var paths = 0
  var whole: Box { Box(x: 0, y: 0, width: size.width, height: size.height) }

  /// - Throws: For malformed XML.
  init(_ svg: String) throws {
    let parser = XMLParser(data: Data(svg.utf8))
    let reader = Reader()
    parser.delegate = reader
    guard parser.parse() else {
      throw NetworkError(
        .malformedMessage, operation: "read picture", reason: "\(parser.parserError.map { "\($0)" } ?? "no reason")")
    }
    self = reader.picture
  }

  private init() {}

  private final class Reader: NSObject, XMLParserDelegate {
    var picture = Picture()
    private var text: String?

    func parser(
      _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
      attributes: [String: String]
    ) {
      let number = { (key: String) in attributes[key].flatMap { Double($0) } ?? 0 }
      switch name {
      case "svg": picture.size = (number("width"), number("height"))
      case "rect" where attributes["width"] != "100%":
        picture.boxes.append(Box(x: number("x"), y: number("y"), width: number("width"), height: number("height")))
      case "text": text = ""
      case "polyline" where attributes["class"] == "path": picture.paths += 1
      default: break
      }
    }

    func parser(_ parser: XMLParser, foundCharacters characters: String) { text? += characters }

    func parser(
      _ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?
    ) {
      guard name == "text", let whole = text else { return }
      picture.texts.append(whole)
      text = nil
    }
  }
}
