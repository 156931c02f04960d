// The transactions of an attach and a detach by SQLite's C API, every statement prepared beforehand.
#include "CBenchmarkFloor.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum statement { BEGIN, REVISION, SAVE, REMOVE, NOTE_REMOVAL, APPEND, TRIM, COUNT, COMMIT, STATEMENTS };

static const char *const texts[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [REVISION] = "SELECT value FROM meta WHERE key = 'revision'",
    [SAVE] = "INSERT INTO records (kind, id, revision, value) VALUES (?, ?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET "
             "revision = excluded.revision, value = excluded.value",
    [REMOVE] = "DELETE FROM records WHERE kind = ? AND id = ?",
    [NOTE_REMOVAL] = "INSERT INTO removed (revision, kind, id) VALUES (?, ?, ?)",
    [APPEND] = "INSERT INTO events (value) VALUES (?)",
    [TRIM] = "DELETE FROM events WHERE number <= (SELECT max(number) FROM events) - 1000",
    [COUNT] = "UPDATE meta SET value = ? WHERE key = 'revision'",
    [COMMIT] = "COMMIT",
};

static const char *const schema =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
    "CREATE TABLE records (kind TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY (kind, id));"
    "CREATE INDEX records_by_revision ON records (revision);"
    "CREATE TABLE removed (number INTEGER PRIMARY KEY, revision INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL);"
    "CREATE INDEX removed_by_revision ON removed (revision);"
    "CREATE TABLE events (number INTEGER PRIMARY KEY, value TEXT NOT NULL);"
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "INSERT INTO meta VALUES ('revision', 1);";

struct floor_store {
  sqlite3 *database;
  sqlite3_stmt *statements[STATEMENTS];
};

int floor_store_open(const char *path, floor_store **result) {
  floor_store *store = calloc(1, sizeof *store);
  if (store == NULL)
    return -ENOMEM;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  int error = sqlite3_open_v2(path, &store->database, flags, NULL);
  if (error == SQLITE_OK)
    error = sqlite3_exec(store->database, schema, NULL, NULL, NULL);
  for (int i = 0; error == SQLITE_OK && i < STATEMENTS; i++)
    error = sqlite3_prepare_v3(store->database, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &store->statements[i], NULL);
  if (error != SQLITE_OK) {
    floor_store_close(store);
    return -EIO;
  }
  *result = store;
  return 0;
}

void floor_store_close(floor_store *store) {
  for (int i = 0; i < STATEMENTS; i++)
    sqlite3_finalize(store->statements[i]);
  sqlite3_close(store->database);
  free(store);
}

static int run(floor_store *store, enum statement which) {
  int result = sqlite3_step(store->statements[which]);
  sqlite3_reset(store->statements[which]);
  return result == SQLITE_DONE ? 0 : -EIO;
}

static void bind(floor_store *store, enum statement which, int place, const char *text) {
  sqlite3_bind_text(store->statements[which], place, text, -1, SQLITE_STATIC);
}

static int change(floor_store *store, const floor_change *change, sqlite3_int64 revision) {
  if (strcmp(change->kind, "event") == 0) {
    bind(store, APPEND, 1, change->text);
    return run(store, APPEND) | run(store, TRIM);
  }
  if (change->text == NULL) {
    bind(store, REMOVE, 1, change->kind);
    bind(store, REMOVE, 2, change->identifier);
    sqlite3_bind_int64(store->statements[NOTE_REMOVAL], 1, revision);
    bind(store, NOTE_REMOVAL, 2, change->kind);
    bind(store, NOTE_REMOVAL, 3, change->identifier);
    return run(store, REMOVE) | run(store, NOTE_REMOVAL);
  }
  bind(store, SAVE, 1, change->kind);
  bind(store, SAVE, 2, change->identifier);
  sqlite3_bind_int64(store->statements[SAVE], 3, revision);
  bind(store, SAVE, 4, change->text);
  return run(store, SAVE);
}

int floor_store_update(floor_store *store, const floor_change *changes, size_t count, int survives_power_cut) {
  if (survives_power_cut)
    sqlite3_exec(store->database, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
  int error = run(store, BEGIN);
  if (error != 0)
    return error;
  if (sqlite3_step(store->statements[REVISION]) != SQLITE_ROW)
    error = -EIO;
  sqlite3_int64 revision = sqlite3_column_int64(store->statements[REVISION], 0) + 1;
  sqlite3_reset(store->statements[REVISION]);
  for (size_t i = 0; error == 0 && i < count; i++)
    error = change(store, &changes[i], revision);
  sqlite3_bind_int64(store->statements[COUNT], 1, revision);
  if (error == 0)
    error = run(store, COUNT) | run(store, COMMIT);
  if (survives_power_cut)
    sqlite3_exec(store->database, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
  return error;
}

int floor_store_read(const char *path) {
  sqlite3 *database = NULL;
  sqlite3_stmt *statement = NULL;
  int count = 0, result = sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
  if (result == SQLITE_OK)
    result = sqlite3_prepare_v2(database, "SELECT kind, id, value FROM records ORDER BY rowid", -1, &statement, NULL);
  while (result == SQLITE_OK || result == SQLITE_ROW) {
    result = sqlite3_step(statement);
    if (result != SQLITE_ROW)
      break;
    for (int column = 0; column < 3; column++)
      if (sqlite3_column_text(statement, column) == NULL || sqlite3_column_bytes(statement, column) == 0)
        result = SQLITE_CORRUPT;
    count++;
  }
  sqlite3_finalize(statement);
  sqlite3_close(database);
  return result == SQLITE_DONE ? count : -EIO;
}
