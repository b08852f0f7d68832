package store

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Snapshot is the database as it was at one moment, while updates go on: a read
// transaction on SQLite's log, or REPEATABLE READ on PostgreSQL. Close it soon:
// as long as it is open the server keeps what it shows.
type Snapshot struct {
	kind Kind
	pool *sql.DB // of its own, SQLite only
	tx   *sql.Tx
}

// Snapshot takes one.
func (db *DB) Snapshot(ctx context.Context) (*Snapshot, error) {
	s := &Snapshot{kind: db.kind}
	from := db.pool
	if db.kind == SQLite {
		var err error
		if s.pool, err = sql.Open("sqlite", db.dsn("query_only(ON)")); err != nil {
			return nil, fmt.Errorf("snapshot: %w", err)
		}
		from = s.pool
	}
	var err error
	if s.tx, err = from.BeginTx(ctx, &sql.TxOptions{Isolation: map[Kind]sql.IsolationLevel{Postgres: sql.LevelRepeatableRead}[db.kind], ReadOnly: db.kind == Postgres}); err != nil {
		s.Close()
		return nil, fmt.Errorf("snapshot: %w", storeError(err))
	}
	// The moment is that of the first read; PostgreSQL would begin a large table
	// where another reader is just now.
	first := `SELECT count(*) FROM sqlite_master`
	if db.kind == Postgres {
		first = `SELECT set_config('synchronize_seqscans', 'off', true)`
	}
	var ignored any
	if err := s.tx.QueryRowContext(ctx, first).Scan(&ignored); err != nil {
		s.Close()
		return nil, fmt.Errorf("snapshot: %w", storeError(err))
	}
	return s, nil
}

// Close lets go of it.
func (s *Snapshot) Close() error {
	var errs []error
	if s.tx != nil {
		errs = append(errs, s.tx.Rollback())
	}
	if s.pool != nil {
		errs = append(errs, s.pool.Close())
	}
	return errors.Join(errs...)
}

// QueryContext reads rows as they were.
func (s *Snapshot) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := s.tx.QueryContext(ctx, query, args...)
	return rows, storeError(err)
}

// QueryRowContext reads one row as it was.
func (s *Snapshot) QueryRowContext(ctx context.Context, query string, args ...any) Row {
	return s.tx.QueryRowContext(ctx, query, args...)
}

// Table is a table with the columns that are written into it: not those that
// the database computes.
type Table struct {
	Name    string
	Columns []string
}

// Tables are all tables that last: not the store's own, and not those that
// PostgreSQL forgets by itself (UNLOGGED).
func (s *Snapshot) Tables(ctx context.Context) ([]Table, error) { return tables(ctx, s, s.kind) }

type rowsReader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func tables(ctx context.Context, from rowsReader, kind Kind) ([]Table, error) {
	query := `SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_xinfo(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE 'store_%' AND c.hidden = 0 ORDER BY m.name, c.cid`
	if kind == Postgres {
		query = `SELECT t.relname, a.attname FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid
			WHERE t.relkind = 'r' AND t.relpersistence = 'p' AND t.relnamespace = current_schema()::regnamespace AND t.relname NOT LIKE 'store\_%'
			AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity <> 'a' ORDER BY t.relname COLLATE "C", a.attnum`
	}
	rows, err := from.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	defer rows.Close()
	var list []Table
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, fmt.Errorf("list tables: %w", err)
		}
		if len(list) == 0 || list[len(list)-1].Name != table {
			list = append(list, Table{Name: table})
		}
		list[len(list)-1].Columns = append(list[len(list)-1].Columns, column)
	}
	return list, rows.Err()
}

// Write writes a table as SQL that both sqlite3 and Fill understand: one
// statement a line, rows in the order in which they were added, so that two
// copies differ only where rows do. It returns how many rows there were.
func (s *Snapshot) Write(ctx context.Context, w io.Writer, t Table) (rows int, err error) {
	fail := func(err error) (int, error) { return rows, fmt.Errorf("copy table %s: %w", t.Name, storeError(err)) }
	out := bufio.NewWriterSize(w, 1<<16)
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = quoteName(c)
	}
	fmt.Fprintf(out, "CREATE TABLE IF NOT EXISTS %s (%s);\n", quoteName(t.Name), strings.Join(names, ", "))
	order := ""
	if s.kind == SQLite {
		order = " ORDER BY rowid"
	}
	found, err := s.tx.QueryContext(ctx, "SELECT "+strings.Join(names, ", ")+" FROM "+quoteName(t.Name)+order)
	if err != nil {
		return fail(err)
	}
	defer found.Close()
	values, into := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	var line []byte
	for found.Next() {
		if err := found.Scan(into...); err != nil {
			return fail(err)
		}
		line = append(line[:0], "INSERT INTO "...)
		line = append(line, quoteName(t.Name)...)
		line = append(line, " VALUES("...)
		for i, v := range values {
			if i > 0 {
				line = append(line, ',')
			}
			if line, err = appendValue(line, v); err != nil {
				return fail(err)
			}
		}
		line = append(line, ");\n"...)
		if _, err := out.Write(line); err != nil {
			return fail(err)
		}
		rows++
	}
	if err := found.Err(); err != nil {
		return fail(err)
	}
	if err := out.Flush(); err != nil {
		return fail(err)
	}
	return rows, nil
}

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "NULL"...), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case []byte:
		b = append(b, "X'"...)
		b = hex.AppendEncode(b, v)
		return append(b, '\''), nil
	case string:
		if !utf8.ValidString(v) || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' }) { // no line is torn
			b = append(b, "CAST(X'"...)
			b = hex.AppendEncode(b, []byte(v))
			return append(b, "' AS TEXT)"...), nil
		}
		b = append(b, '\'')
		b = append(b, strings.ReplaceAll(v, "'", "''")...)
		return append(b, '\''), nil
	}
	return b, fmt.Errorf("a value of type %T", v)
}

// Fill puts rows that Write wrote into the tables of a database that nobody
// uses yet; a table that comes is emptied first. It gives the number of rows of
// each table. Only statements of Write's own form are taken, and none is run as
// it stands: what came from outside is data. step gets the bytes read.
func (db *DB) Fill(ctx context.Context, r io.Reader, step func(done int64)) (map[string]int, error) {
	f := &filling{db: db, rows: map[string]int{}}
	list, err := tables(ctx, db, db.kind)
	if err != nil {
		return nil, err
	}
	f.tables = map[string]Table{}
	for _, t := range list {
		f.tables[t.Name] = t
	}
	in := bufio.NewReaderSize(r, 1<<16)
	var done int64
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF && line == "" {
			return f.rows, f.flush(ctx)
		}
		if err != nil {
			return f.rows, fmt.Errorf("fill: the copy ends within a line: %w", err)
		}
		done += int64(len(line))
		if err := f.take(ctx, line[:len(line)-1]); err != nil {
			return f.rows, fmt.Errorf("fill: %w", err)
		}
		if step != nil {
			step(done)
		}
	}
}

type filling struct {
	db     *DB
	tables map[string]Table
	name   string // the table that is filled
	insert string
	keep   []int // which values are taken
	width  int
	rows   map[string]int
	wait   [][]any
	bytes  int
}

var errForm = errors.New("a line is not of the form that a snapshot has")

func (f *filling) take(ctx context.Context, line string) error {
	if rest, ok := strings.CutPrefix(line, "CREATE TABLE IF NOT EXISTS "); ok {
		if err := f.flush(ctx); err != nil {
			return err
		}
		return f.begin(ctx, rest)
	}
	if strings.HasPrefix(line, "--") || line == "BEGIN;" || line == "COMMIT;" || line == "" {
		return nil
	}
	rest, ok := strings.CutPrefix(line, "INSERT INTO "+quoteName(f.name)+" VALUES(")
	if !ok || f.name == "" {
		return errForm
	}
	values, err := readValues(rest, f.width)
	if err != nil {
		return fmt.Errorf("table %s: %w", f.name, err)
	}
	kept := make([]any, len(f.keep))
	for i, k := range f.keep {
		kept[i] = values[k]
	}
	f.wait = append(f.wait, kept)
	f.bytes += len(line)
	if len(f.wait) >= 2000 || f.bytes > 16<<20 {
		return f.flush(ctx)
	}
	return nil
}

func (f *filling) begin(ctx context.Context, text string) error {
	name, text, ok := readName(text)
	if !ok || !strings.HasPrefix(text, " (") {
		return errForm
	}
	t, ok := f.tables[name]
	if !ok {
		return fmt.Errorf("this program knows no table %q", name)
	}
	text = text[2:]
	f.keep, f.width = nil, 0
	var names, marks []string
	for {
		column, rest, ok := readName(text)
		if !ok {
			return errForm
		}
		for _, c := range t.Columns {
			if c == column {
				f.keep = append(f.keep, f.width)
				names = append(names, quoteName(c))
				marks = append(marks, "$"+strconv.Itoa(len(names)))
			}
		}
		f.width++
		if rest == ");" {
			break
		}
		if text, ok = strings.CutPrefix(rest, ", "); !ok {
			return errForm
		}
	}
	f.name, f.rows[name] = name, 0
	f.insert = "INSERT INTO " + quoteName(name) + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(marks, ", ") + ")"
	return f.db.Update(ctx, func(tx *Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM "+quoteName(name))
		return err
	})
}

func (f *filling) flush(ctx context.Context) error {
	if len(f.wait) == 0 {
		return nil
	}
	err := f.db.Update(ctx, func(tx *Tx) error {
		for _, row := range f.wait {
			if err := tx.Send(ctx, f.insert, row...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("table %s: %w", f.name, err)
	}
	f.rows[f.name] += len(f.wait)
	f.wait, f.bytes = nil, 0
	return nil
}

// readName reads a quoted name from the start of a text.
func readName(text string) (name, rest string, ok bool) {
	text, ok = strings.CutPrefix(text, `"`)
	if !ok {
		return "", "", false
	}
	name, rest, ok = strings.Cut(text, `"`)
	return name, rest, ok && name != "" && !strings.HasPrefix(rest, `"`)
}

// readValues reads what stands between VALUES( and the end of a line.
func readValues(text string, width int) ([]any, error) {
	values := make([]any, 0, width)
	for {
		v, rest, err := readValue(text)
		if err != nil {
			return nil, err
		}
		values = append(values, v)
		if rest == ");" {
			break
		}
		if text = strings.TrimPrefix(rest, ","); text == rest {
			return nil, errForm
		}
	}
	if len(values) != width {
		return nil, errForm
	}
	return values, nil
}

func readValue(text string) (v any, rest string, err error) {
	switch {
	case strings.HasPrefix(text, "NULL"):
		return nil, text[4:], nil
	case strings.HasPrefix(text, "X'"):
		return readHex(text[2:])
	case strings.HasPrefix(text, "CAST(X'"):
		b, rest, err := readHex(text[7:])
		if rest, ok := strings.CutPrefix(rest, " AS TEXT)"); ok && err == nil {
			return string(b), rest, nil
		}
		return nil, "", errForm
	case strings.HasPrefix(text, "'"):
		return readText(text[1:])
	}
	end := strings.IndexAny(text, ",)")
	if end < 0 {
		return nil, "", errForm
	}
	n, err := strconv.ParseInt(text[:end], 10, 64)
	if err != nil {
		return nil, "", errForm
	}
	return n, text[end:], nil
}

func readHex(text string) ([]byte, string, error) {
	digits, rest, ok := strings.Cut(text, "'")
	b, err := hex.DecodeString(digits)
	if !ok || err != nil {
		return nil, "", errForm
	}
	return b, rest, nil
}

func readText(text string) (string, string, error) {
	var whole strings.Builder
	for {
		part, rest, ok := strings.Cut(text, "'")
		if !ok {
			return "", "", errForm
		}
		whole.WriteString(part)
		if !strings.HasPrefix(rest, "'") {
			return whole.String(), rest, nil
		}
		whole.WriteByte('\'')
		text = rest[1:]
	}
}
