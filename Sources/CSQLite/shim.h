#include <sqlite3.h>

// SQLITE_TRANSIENT (SQLite copies the text before the call returns) is a cast that Swift does not import.
static inline int cn_sqlite_bind_text(sqlite3_stmt *statement, int index, const char *text, sqlite3_uint64 count) {
  return sqlite3_bind_text64(statement, index, text, count, SQLITE_TRANSIENT, SQLITE_UTF8);
}
