package ledger

import (
	"context"
	"fmt"
	"strings"

	"quietroom/ground/store"
)

// Lookups go by columns that the database computes from the body. Whoever can
// change tables could have them computed otherwise, or have a trigger change
// what is written: so the tables have to be the ones that this program made.

// tables finds what of the ledger's tables this program did not make.
func (l *Ledger) tables(ctx context.Context) (*Finding, error) {
	if l.db.Kind() == store.Postgres {
		return l.postgresTables(ctx)
	}
	made, err := schema.ReadFile("schema/0001_facts.sqlite.sql")
	if err != nil {
		return nil, err
	}
	rows, err := l.db.QueryContext(ctx, `SELECT type, name, sql FROM sqlite_master WHERE tbl_name LIKE 'ledger%' AND sql IS NOT NULL`)
	if err != nil {
		return nil, fmt.Errorf("read the tables: %w", err)
	}
	defer rows.Close()
	seen := 0
	for rows.Next() {
		var kind, name, text string
		if err := rows.Scan(&kind, &name, &text); err != nil {
			return nil, fmt.Errorf("read the tables: %w", err)
		}
		if kind == "trigger" || !strings.Contains(string(made), text+";") {
			return found(0, "the %s %s was not made by this program", kind, name), nil
		}
		seen++
	}
	if want := strings.Count(string(made), "CREATE "); seen != want && rows.Err() == nil {
		return found(0, "of the ledger's %d tables and indexes there are %d", want, seen), nil
	}
	return nil, rows.Err()
}

// computed are the columns of PostgreSQL's tables that come from the body.
const computed = 7

func (l *Ledger) postgresTables(ctx context.Context) (*Finding, error) {
	var columns, triggers int
	err := l.db.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM information_schema.columns WHERE table_schema = current_schema() AND is_generated = 'ALWAYS'
			AND table_name IN ('ledger_facts', 'ledger_waiting') AND generation_expression LIKE '%body%'),
		(SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relname LIKE 'ledger%' AND NOT t.tgisinternal)`).Scan(&columns, &triggers)
	if err != nil {
		return nil, fmt.Errorf("read the tables: %w", err)
	}
	if columns != computed || triggers > 0 {
		return found(0, "the ledger's tables were not made by this program: %d columns are computed from the facts and should be %d, and there are %d triggers", columns, computed, triggers), nil
	}
	return nil, nil
}
