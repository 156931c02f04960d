/// An unordered set of ids. It usually has one, which needs no allocation.
enum IDs: Sendable {
  case none
  case one(String)
  case many(Set<String>)

  init() { self = .none }

  var isEmpty: Bool { if case .none = self { true } else { false } }

  var count: Int {
    switch self {
    case .none: 0
    case .one: 1
    case .many(let ids): ids.count
    }
  }

  var all: [String] {
    switch self {
    case .none: []
    case .one(let id): [id]
    case .many(let ids): Array(ids)
    }
  }

  mutating func insert(_ id: String) {
    switch self {
    case .none: self = .one(id)
    case .one(let known): if known != id { self = .many([known, id]) }
    case .many(var ids):
      // Releases the other reference to the set: it would be copied.
      self = .none
      ids.insert(id)
      self = .many(ids)
    }
  }

  mutating func remove(_ id: String) {
    switch self {
    case .none: break
    case .one(let known): if known == id { self = .none }
    case .many(var ids):
      self = .none
      ids.remove(id)
      self = ids.count > 1 ? .many(ids) : ids.first.map { .one($0) } ?? .none
    }
  }
}
