package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"quietroom/ground/store"
)

// rows are rows of a few tables as somebody with write access sees and changes
// them: read once, changed in memory, written, and put back.

// row is one row; gone tells that it is to be deleted.
type row struct {
	table string
	cells map[string]any
	gone  bool
}

// keys of the tables that a drill changes.
var tableKeys = map[string][]string{
	"vault_wraps":        {"patient", "part", "team", "version"},
	"vault_older":        {"patient", "part", "version"},
	"vault_records":      {"record"},
	"vault_tail":         {"patient", "at"},
	"vault_directory":    {"segment"},
	"vault_generation":   {"one"},
	"vault_index":        {"tag"},
	"identity_doors":     {"door"},
	"identity_team_keys": {"holder", "team", "epoch"},
	"identity_pins":      {"person"},
	"identity_roster":    {"number"},
}

func readRows(ctx context.Context, db *store.DB, table, where string, args ...any) ([]row, error) {
	if where != "" {
		where = " WHERE " + where
	}
	found, err := db.QueryContext(ctx, `SELECT * FROM `+table+where+` ORDER BY `+strings.Join(tableKeys[table], ", "), args...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	columns, err := found.Columns()
	if err != nil {
		return nil, err
	}
	var list []row
	for found.Next() {
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := found.Scan(into...); err != nil {
			return nil, err
		}
		r := row{table: table, cells: map[string]any{}}
		for i, c := range columns {
			r.cells[c] = values[i]
		}
		list = append(list, r)
	}
	return list, found.Err()
}

// copyRows returns rows that can be changed without changing these.
func copyRows(list []row) []row {
	list = slices.Clone(list)
	for i := range list {
		list[i].cells = maps.Clone(list[i].cells)
		for c, v := range list[i].cells {
			if b, ok := v.([]byte); ok {
				list[i].cells[c] = bytes.Clone(b)
			}
		}
	}
	return list
}

func (r row) text(column string) string  { s, _ := r.cells[column].(string); return s }
func (r row) number(column string) int64 { n, _ := r.cells[column].(int64); return n }
func (r row) bytes(column string) []byte { b, _ := r.cells[column].([]byte); return b }

func (r row) equal(o row) bool {
	return r.table == o.table && r.gone == o.gone && maps.EqualFunc(r.cells, o.cells, func(a, b any) bool {
		x, ok := a.([]byte)
		y, both := b.([]byte)
		if ok && both {
			return bytes.Equal(x, y)
		}
		return ok == both && a == b
	})
}

// turn brings the database from one state of rows to another. Rows stand at the
// same place in both; further ones of the second are new.
func turn(ctx context.Context, db *store.DB, from, to []row) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		var errs []error
		for i, r := range from {
			if !r.gone && (i >= len(to) || !r.equal(to[i])) {
				errs = append(errs, r.delete(ctx, tx))
			}
		}
		for i, r := range to {
			if !r.gone && (i >= len(from) || !r.equal(from[i])) {
				errs = append(errs, r.insert(ctx, tx))
			}
		}
		return errors.Join(errs...)
	})
}

func (r row) delete(ctx context.Context, tx *store.Tx) error {
	var where []string
	var args []any
	for _, k := range tableKeys[r.table] {
		args = append(args, r.cells[k])
		where = append(where, fmt.Sprintf("%s = $%d", k, len(args)))
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM `+r.table+` WHERE `+strings.Join(where, " AND "), args...)
	return err
}

func (r row) insert(ctx context.Context, tx *store.Tx) error {
	columns := slices.Sorted(maps.Keys(r.cells))
	var places []string
	var args []any
	for _, c := range columns {
		args = append(args, r.cells[c])
		places = append(places, fmt.Sprintf("$%d", len(args)))
	}
	_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO `+r.table+` (`+strings.Join(columns, ", ")+`) VALUES (`+strings.Join(places, ", ")+`)`, args...)
	return err
}
