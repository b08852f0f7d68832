package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

func (db *DB) openPostgres(address string) error {
	db.kind = Postgres
	read, err := pgx.ParseConfig(address)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	write := read.Copy()
	read.RuntimeParams["default_transaction_read_only"] = "on"
	// Several servers write here, each with one connection: on two cores, two to
	// four were measured to be slower than one that joins more callers.
	write.RuntimeParams["default_transaction_isolation"] = "serializable" // see Update
	write.RuntimeParams["idle_in_transaction_session_timeout"] = "30s"    // a server that was paused lets go of its locks
	db.pool, db.write = stdlib.OpenDB(*read), stdlib.OpenDB(*write)
	db.pool.SetMaxOpenConns(maxReaders)
	db.pool.SetMaxIdleConns(maxReaders)
	return nil
}

// Raw reads rows of texts and bytes without a copy of them: each gets them as
// they lie in the connection's memory, where they are its own until it returns.
// It is for megabytes at a time; the rest is better off with QueryContext.
func (db *DB) Raw(ctx context.Context, each func(values [][]byte) error, query string, args ...any) error {
	if db.kind == SQLite {
		return db.rawSQLite(ctx, each, query, args)
	}
	begun := false
	var err error
	for range maxReaders + 1 { // as QueryContext does
		err = db.rawPostgres(ctx, func(values [][]byte) error { begun = true; return each(values) }, query, args)
		if begun || !broke(err) || ctx.Err() != nil {
			break
		}
	}
	return storeError(err)
}

func (db *DB) rawPostgres(ctx context.Context, each func([][]byte) error, query string, args []any) error {
	conn, err := db.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(c any) error {
		rows, err := c.(*stdlib.Conn).Conn().Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := each(rows.RawValues()); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

func (db *DB) rawSQLite(ctx context.Context, each func([][]byte) error, query string, args []any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	raw, values, into := make([]sql.RawBytes, len(columns)), make([][]byte, len(columns)), make([]any, len(columns))
	for i := range raw {
		into[i] = &raw[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i := range raw {
			values[i] = raw[i]
		}
		if err := each(values); err != nil {
			return err
		}
	}
	return storeError(rows.Err())
}

// insist turns on durable commits where the server's default is not to wait
// for the disk, and leaves a stricter setting alone.
func (w *writer) insist(ctx context.Context) error {
	if w.db.kind == SQLite {
		return nil
	}
	_, err := w.conn.ExecContext(ctx, `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`)
	return err
}

// maxSent bounds how many statements wait to be sent together.
const maxSent = 1000

// sent is a statement of Tx.Send.
type sent struct {
	query string
	args  []any
}

// flush sends what waits, and then a command, in one round trip. After one that
// fails PostgreSQL passes over the rest, the command too.
func (w *writer) flush(command ...string) error {
	if len(w.sent) == 0 {
		for _, text := range command {
			return w.exec(text)
		}
		return nil
	}
	b := &pgx.Batch{}
	for rest := w.sent; len(rest) > 0; {
		query, n := together(rest)
		var args []any
		for _, s := range rest[:n] {
			args = append(args, s.args...)
		}
		b.Queue(query, args...)
		rest = rest[n:]
	}
	for _, text := range command {
		b.Queue(text)
	}
	w.sent = w.sent[:0]
	err := w.conn.Raw(func(c any) error {
		return c.(*stdlib.Conn).Conn().SendBatch(context.Background(), b).Close()
	})
	if pgconn.SafeToRetry(err) {
		return driver.ErrBadConn // nothing was sent
	}
	return err
}

// oneRow is the end of an INSERT of a single row of arguments.
var oneRow = regexp.MustCompile(` VALUES \(\$1(, \$\d+)*\)$`)

// together finds how many INSERTs of one row at the beginning are alike, and
// writes them as one of several rows, which costs PostgreSQL a third. There are
// two such numbers of rows, so that few statements are prepared.
func together(sent []sent) (query string, n int) {
	query = sent[0].query
	if !oneRow.MatchString(query) {
		return query, 1
	}
	alike := 1
	for alike < len(sent) && alike < 64 && sent[alike].query == query {
		alike++
	}
	switch {
	case alike == 64:
		n = 64
	case alike >= 8:
		n = 8
	default:
		return query, 1
	}
	var text strings.Builder
	text.WriteString(query)
	per := len(sent[0].args)
	for row := 1; row < n; row++ {
		values := make([]string, per)
		for i := range values {
			values[i] = "$" + strconv.Itoa(row*per+i+1)
		}
		text.WriteString(", (" + strings.Join(values, ", ") + ")")
	}
	return text.String(), n
}

// state asks the connection, without a round trip, whether it is gone, and
// whether its transaction is broken by a failed statement.
func (w *writer) state() (gone, broken bool) {
	if w.db.kind == SQLite {
		return false, false
	}
	err := w.conn.Raw(func(c any) error {
		pg := c.(*stdlib.Conn).Conn().PgConn()
		gone, broken = pg.IsClosed(), pg.TxStatus() == 'E'
		return nil
	})
	return gone || err != nil, broken
}

// Rewrite takes deleted rows out of the files of some tables: on SQLite Scrub
// does that for all; PostgreSQL keeps them until a table is written anew, and in
// its log until that is turned over. turned tells whether the log was: it takes
// pg_switch_wal and CHECKPOINT, which a server may allow only to others. While a
// table is written anew nobody reads it; the pause is about a second for 100,000
// keys. What the disk itself keeps of freed blocks is beyond it.
func (db *DB) Rewrite(ctx context.Context, tables ...string) (turned bool, err error) {
	if db.kind == SQLite {
		return true, db.Scrub(ctx)
	}
	err = db.errand(ctx, func(w *writer) error {
		do := func(query string) error {
			_, err := w.conn.ExecContext(context.Background(), query)
			return err
		}
		if err := do(`SET lock_timeout = '20s'`); err != nil {
			return err
		}
		defer do(`RESET lock_timeout`)
		for _, t := range tables {
			if err := do(`VACUUM (FULL) ` + quoteName(t)); err != nil {
				return err
			}
		}
		// Twice: what was current at the first is a log of before at the second.
		turned = do(`SELECT pg_switch_wal()`) == nil && do(`CHECKPOINT`) == nil && do(`SELECT pg_switch_wal()`) == nil && do(`CHECKPOINT`) == nil
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("rewrite: %w", storeError(err))
	}
	return turned, nil
}
