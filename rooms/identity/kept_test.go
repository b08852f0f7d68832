package identity

import (
	"context"
	"encoding/json"
	"errors"
	"path"
	"testing"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
)

// withTables has a house keep its short-lived things as on PostgreSQL: the SQL is the same.
func withTables(t testing.TB) *house {
	h := newHouse(t)
	h.exec(t, `CREATE TABLE identity_kept (kind TEXT NOT NULL, key TEXT NOT NULL, value BYTEA NOT NULL, ends BIGINT NOT NULL, PRIMARY KEY (kind, key))`)
	h.kept = tables{h.db, seal.NewKey()}
	return h
}

func TestAnApprovalThatIsWrittenIntoTheDatabaseApprovesNothing(t *testing.T) {
	h := withTables(t)
	page, wait, err := h.Ask(t.Context(), "export", id.Actor{Person: h.joPerson})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(approval{Act: "export", By: h.joPerson, Given: h.anaU.Person})
	if err != nil {
		t.Fatal(err)
	}
	h.exec(t, `UPDATE identity_kept SET value = $1 WHERE kind = 'approval' AND key = $2`, b, path.Base(page))
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	if err := wait(ctx); !errors.Is(err, ErrNotApproved) {
		t.Errorf("nobody tapped, and the export got %v", err)
	}
}

func TestAKeptValueIsBoundToItsNameAndItsEnd(t *testing.T) {
	now := time.Now()
	for _, c := range []struct{ what, change, kind, key string }{
		{"another name", `UPDATE identity_kept SET key = 'b'`, keptTap, "b"},
		{"another kind", `UPDATE identity_kept SET kind = 'session'`, keptSession, "a"},
		{"a later end", `UPDATE identity_kept SET ends = ends + 1`, keptTap, "a"},
	} {
		t.Run(c.what, func(t *testing.T) {
			h, ctx := withTables(t), t.Context()
			if err := h.kept.put(ctx, keptTap, "a", []byte("x"), now.Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if v, err := h.kept.get(ctx, keptTap, "a", now); err != nil || string(v) != "x" {
				t.Fatalf("before anything was changed: %q, %v", v, err)
			}
			h.exec(t, c.change)
			if v, err := h.kept.get(ctx, c.kind, c.key, now); !errors.Is(err, errGone) {
				t.Errorf("got %q, %v", v, err)
			}
			if v, err := h.kept.take(ctx, c.kind, c.key, now); !errors.Is(err, errGone) {
				t.Errorf("took %q, %v", v, err)
			}
		})
	}
}
