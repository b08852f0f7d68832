package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/web"
)

// A session holds team keys and no seed. When a team gets a new key, it is also
// sealed to the sessions of its members that are open just then, so that nobody
// has to come in again in the middle of a note.

// pair opens what is sealed to a session. Only the cookie leads to it.
func (v *visit) pair() (*seal.Pair, error) { return seal.PairFrom(v.key.Derive("session pair v1")) }

func (i *Identity) newsSlot(s session, team id.Team, epoch uint64) seal.Slot {
	return seal.Slot{Kind: "session-key", Practice: i.Anchor.Practice(), Holder: string(s.ID), Subject: string(team), Version: epoch}
}

func newsName(session string, team id.Team, epoch uint64) string {
	return fmt.Sprintf("%s %s %d", session, team, epoch)
}

// handOn seals keys to the open sessions of those who were given them. Where it
// fails, such a session closes at its next request, and one tap resumes.
func (i *Identity) handOn(ctx context.Context, given []givenKey) {
	if len(given) == 0 {
		return
	}
	open, err := i.kept.all(ctx, i.DB, keptSession, i.Now())
	if err != nil {
		return
	}
	for name, value := range open {
		var s session
		if json.Unmarshal(value, &s) != nil {
			continue
		}
		for _, g := range given {
			if g.holder != s.Person {
				continue
			}
			box, err := seal.SealTo(s.Pair, g.key[:], i.newsSlot(s, g.team, g.epoch))
			if err != nil || i.kept.put(ctx, keptNews, newsName(name, g.team, g.epoch), box, time.UnixMilli(s.Ends)) != nil {
				return
			}
		}
	}
}

// catchNews takes into a session's ring what its teams got since. A ring that
// misses the newest key of a team would write nothing for it: the session is over,
// and one tap opens another.
func (i *Identity) catchNews(ctx context.Context, v *visit, r *ring) error {
	roster, err := i.known(ctx)
	if err != nil {
		return err
	}
	var pair *seal.Pair
	for _, name := range roster.Teams() {
		team := id.Team(name)
		t, _ := roster.Team(name)
		if _, has := r.Teams[team][t.Epoch]; has || !member(roster, team, v.Person) {
			continue
		}
		if pair == nil {
			if pair, err = v.pair(); err != nil {
				return err
			}
		}
		for epoch := range t.Commitments {
			if _, has := r.Teams[team][epoch]; has {
				continue
			}
			box, err := i.kept.get(ctx, keptNews, newsName(v.name, team, epoch), i.Now())
			if errors.Is(err, errGone) && epoch != t.Epoch {
				continue // a newcomer need not hold all that was
			}
			if err != nil {
				return noSession(err)
			}
			key, err := pair.OpenKey(box, i.newsSlot(v.session, team, epoch))
			if err != nil || roster.CheckTeamKey(name, epoch, key) != nil {
				return web.ErrNoSession
			}
			r.add(team, epoch, key)
		}
	}
	if pair != nil {
		i.refresh(ctx, v, r)
	}
	return nil
}
