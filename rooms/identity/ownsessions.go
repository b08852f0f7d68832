package identity

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/ground/web"
)

// sessionRow is one of a person's sessions, as that person sees it.
type sessionRow struct {
	ID          id.Session
	From, Where string
	Began       time.Time
	This        bool
}

// sessionsOf returns a person's open sessions, the newest first.
func (i *Identity) sessionsOf(ctx context.Context, p id.Person) ([]sessionRow, error) {
	all, err := i.kept.all(ctx, i.DB, keptSession, i.Now())
	if err != nil {
		return nil, err
	}
	var rows []sessionRow
	for _, value := range all {
		var s session
		if err := json.Unmarshal(value, &s); err != nil {
			return nil, fmt.Errorf("read a session: %w", err)
		}
		if s.Person == p {
			rows = append(rows, sessionRow{ID: s.ID, From: s.From, Where: s.Where, Began: time.UnixMilli(s.Began), This: s.ID == id.From(ctx).Session})
		}
	}
	slices.SortFunc(rows, func(a, b sessionRow) int {
		return cmp.Or(b.Began.Compare(a.Began), strings.Compare(string(a.ID), string(b.ID)))
	})
	return rows, nil
}

// endOwnSession ends one session of the acting person. It needs no tap: who holds
// a session may always end one.
func (i *Identity) endOwnSession(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	p, which := id.From(ctx).Person, id.Session(r.PathValue("session"))
	err := i.DB.Update(ctx, func(tx *store.Tx) error {
		if err := i.EndSession(ctx, tx, p, which); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: i.Now(), Actor: id.From(ctx), Kind: "identity.session-ended", Subject: string(p), Ref: string(which)})
	})
	if err != nil && err != web.ErrNoSession { // one that ended meanwhile is what was wanted
		return err
	}
	return web.SeeOther(w, r, "/doors")
}

// actNewSeed is what one taps for after a session was in somebody else's hands.
const actNewSeed = "new-keys"

// reportStolen is for somebody who sees a session that is not theirs: all other
// sessions end, and the seed and the team keys that they reached are replaced.
func (i *Identity) reportStolen(w http.ResponseWriter, r *http.Request) error {
	ctx, done, err := i.Tap(r, actNewSeed, string(id.From(r.Context()).Person))
	if err != nil {
		return err
	}
	defer done()
	u, _ := UnlockedFrom(ctx)
	err = i.Change(ctx, u, func(c *Change) error {
		if err := c.reseed(ctx, id.From(ctx), "", nil); err != nil {
			return err
		}
		c.Tell(ctx, ledger.Fact{Actor: id.From(ctx), Kind: "identity.session-stolen", Subject: string(u.Person)})
		return nil
	})
	if err != nil {
		return err
	}
	return web.SeeOther(w, r, "/doors?did=stolen")
}

// browserWords names a browser so that its person knows it again: "Firefox on
// Windows". What a browser says of itself proves nothing.
func browserWords(agent string) string {
	find := func(otherwise string, words ...string) string {
		for k := 0; k+1 < len(words); k += 2 {
			if strings.Contains(agent, words[k]) {
				return words[k+1]
			}
		}
		return otherwise
	}
	// The order matters: most browsers also say that they are an older one.
	name := find("A browser", "Edg", "Edge", "OPR", "Opera", "Firefox", "Firefox", "FxiOS", "Firefox", "CriOS", "Chrome", "Chrome", "Chrome", "Safari", "Safari")
	system := find("", "iPhone", "iPhone", "iPad", "iPad", "Android", "Android", "Windows", "Windows", "Mac OS", "Mac", "CrOS", "a Chromebook", "Linux", "Linux")
	if system == "" {
		return name
	}
	return name + " on " + system
}

// address is where a request comes from, as the server sees it.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	if a, err := netip.ParseAddr(host); err != nil || a.IsLoopback() {
		return ""
	}
	return host
}
