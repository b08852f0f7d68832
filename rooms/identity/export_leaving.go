package identity

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/layer"
)

// What rooms/identity/leaving needs of people, doors and keys.

// NextKey makes the key that a team gets when a planned leaving is carried out,
// sealed to those who stay and to the recovery pair, by holder. Nothing is signed
// or written yet, and the key itself is forgotten here.
func (i *Identity) NextKey(roster *seal.Roster, team id.Team, members []string) (next seal.PlannedTeam, boxes map[string][]byte, err error) {
	t, ok := roster.Team(string(team))
	if !ok {
		return next, nil, fmt.Errorf("team %s: unknown", team)
	}
	key := seal.NewKey()
	defer key.Wipe()
	e, err := teamEntry(team, t, t.Epoch+1, key, ids(members))
	if err != nil {
		return next, nil, err
	}
	boxes = map[string][]byte{}
	for _, holder := range append(slices.Clone(members), recoveryHolder) {
		box, err := i.teamBox(roster, team, e.Epoch, key, holder)
		if err != nil {
			return next, nil, err
		}
		if box != nil {
			boxes[holder] = box
		}
	}
	return seal.PlannedTeam{Team: e.Team, Members: members, Epoch: e.Epoch, Commitment: e.Commitment, Public: e.Public}, boxes, nil
}

// PutTeamKey writes a team key that NextKey sealed to a holder.
func (i *Identity) PutTeamKey(ctx context.Context, tx *store.Tx, team id.Team, epoch uint64, holder string, box []byte) error {
	return addTeamKey(ctx, tx, team, epoch, holder, box)
}

// CarryOut has a plan happen whose hour has come: the entry that nobody signs, and
// what write adds, in one transaction. It needs no keys. write gets the list as it
// is then, and may run twice. *seal.RosterError if the plan does not count any more.
func (i *Identity) CarryOut(ctx context.Context, plan uint64, write func(tx *store.Tx, then *seal.Roster) error) error {
	i.acts.Lock()
	defer i.acts.Unlock()
	roster, err := i.Roster(ctx)
	if err != nil {
		return err
	}
	then := roster.Clone()
	s, err := then.CarryOut(plan)
	if err != nil {
		return err
	}
	return i.DB.Update(ctx, func(tx *store.Tx) error {
		if err := i.addEntry(ctx, tx, then.Number, s); err != nil {
			return err
		}
		return write(tx, then)
	})
}

// Offboard closes every door of a person who leaves, and takes away what is
// sealed to that person: team keys, and the pin. For layer.Layer.
func (i *Identity) Offboard(ctx context.Context, tx *store.Tx, l layer.Leaving) error {
	if err := i.CloseDoors(ctx, tx, l.Person); err != nil {
		return err
	}
	for table, column := range map[string]string{"team_keys": "holder", "pins": "person"} {
		if _, err := tx.ExecContext(ctx, `DELETE FROM identity_`+table+` WHERE `+column+` = $1`, l.Person); err != nil {
			return fmt.Errorf("take away what is sealed to %s: %w", l.Person, err)
		}
	}
	return nil
}

// Kinds of doors, as Knock names them.
const (
	DoorPasskey = passkeyDoor
	DoorCode    = codeDoor
	DoorSession = keptSession
	DoorTap     = keptTap
	DoorBrowser = "browser" // in which the person's code is taken
	DoorKey     = "key"     // a team's newest key is one that the person held
)

// Knock asks the doors of a person at their verifiers; see layer.Knock.
func (i *Identity) Knock(ctx context.Context, p id.Person, known []layer.Door) iter.Seq2[layer.Door, error] {
	return func(yield func(layer.Door, error) bool) {
		found, err := i.doorsTo(ctx, p)
		if err != nil {
			yield(layer.Door{}, err)
			return
		}
		asked := map[string]bool{}
		for _, d := range append(slices.Clone(known), found...) {
			if d.Room != "identity" || asked[d.Kind+" "+d.Key] {
				continue
			}
			asked[d.Kind+" "+d.Key] = true
			d.Open, err = i.accepts(ctx, p, d)
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// doorsTo lists what the house knows of a person's doors now.
func (i *Identity) doorsTo(ctx context.Context, p id.Person) (doors []layer.Door, err error) {
	rows, err := i.DB.QueryContext(ctx, `SELECT door, kind, label, credential_id, auth FROM identity_doors WHERE person = $1 ORDER BY made, door`, p)
	if err != nil {
		return nil, fmt.Errorf("list doors of %s: %w", p, err)
	}
	defer rows.Close()
	labels := map[string]string{}
	for rows.Next() {
		var door string
		var credential, auth []byte
		d := layer.Door{Room: "identity"}
		if err := rows.Scan(&door, &d.Kind, &d.Name, &credential, &auth); err != nil {
			return nil, fmt.Errorf("list doors of %s: %w", p, err)
		}
		labels[door] = d.Name
		d.Key = base64.RawURLEncoding.EncodeToString(append(credential, auth...)) // it has one of them
		doors = append(doors, d)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, fmt.Errorf("list doors of %s: %w", p, err)
	}
	kept, err := i.keptTo(ctx, p, labels)
	if err != nil {
		return nil, err
	}
	browsers, err := i.browsersOf(ctx, p)
	if err != nil {
		return nil, err
	}
	keys, err := i.keysTo(ctx, p)
	return slices.Concat(doors, kept, browsers, keys), err
}

// keptTo lists a person's sessions, and taps that wait for their act.
func (i *Identity) keptTo(ctx context.Context, p id.Person, labels map[string]string) (doors []layer.Door, err error) {
	for _, kind := range []string{keptSession, keptTap} {
		all, err := i.kept.all(ctx, i.DB, kind, i.Now())
		if err != nil {
			return nil, err
		}
		for key, value := range all {
			var s struct { // of a session, and of a ticket
				Person id.Person `json:"person"`
				Door   string    `json:"door"`
			}
			err := json.Unmarshal(value, &s)
			clear(value)
			if err != nil {
				return nil, fmt.Errorf("read a kept %s: %w", kind, err)
			}
			if s.Person == p {
				doors = append(doors, layer.Door{Room: "identity", Kind: kind, Name: labels[s.Door], Key: key})
			}
		}
	}
	slices.SortFunc(doors, func(a, b layer.Door) int { return strings.Compare(a.Kind+a.Name+a.Key, b.Kind+b.Name+b.Key) })
	return doors, nil
}

func (i *Identity) browsersOf(ctx context.Context, p id.Person) (doors []layer.Door, err error) {
	rows, err := i.DB.QueryContext(ctx, `SELECT hash FROM identity_browsers WHERE person = $1 ORDER BY made, hash`, p)
	if err != nil {
		return nil, fmt.Errorf("list browsers of %s: %w", p, err)
	}
	defer rows.Close()
	for rows.Next() {
		var hash []byte
		if err := rows.Scan(&hash); err != nil {
			return nil, fmt.Errorf("list browsers of %s: %w", p, err)
		}
		doors = append(doors, layer.Door{Room: "identity", Kind: DoorBrowser, Key: hex.EncodeToString(hash)})
	}
	return doors, rows.Err()
}

// keysTo lists the newest keys of the teams that a person is in, or has a box of.
func (i *Identity) keysTo(ctx context.Context, p id.Person) (doors []layer.Door, err error) {
	roster, err := i.Roster(ctx)
	if err != nil {
		return nil, err
	}
	boxes, err := teamBoxes(ctx, i.DB, string(p))
	if err != nil {
		return nil, err
	}
	for _, name := range roster.Teams() {
		t, _ := roster.Team(name)
		if slices.Contains(t.Members, string(p)) || slices.ContainsFunc(boxes, func(b teamBox) bool { return string(b.team) == name && b.epoch == t.Epoch }) {
			doors = append(doors, layer.Door{Room: "identity", Kind: DoorKey, Name: t.Name, Key: name + "." + strconv.FormatUint(t.Epoch, 10)})
		}
	}
	return doors, nil
}

// accepts asks a door's verifier: the same rows and the same list that a sign-in,
// a request or an act is checked against.
func (i *Identity) accepts(ctx context.Context, p id.Person, d layer.Door) (open bool, err error) {
	roster, err := i.Roster(ctx)
	if err != nil {
		return false, err
	}
	who, known := roster.Person(string(p))
	lets := func(person id.Person, door string) bool {
		_, listed := who.Doors[door]
		return known && !who.Gone && listed || person != p
	}
	switch d.Kind {
	case DoorPasskey, DoorCode:
		handle, err := base64.RawURLEncoding.DecodeString(d.Key)
		if err != nil {
			return false, fmt.Errorf("knock at a %s: its key is torn", d.Kind)
		}
		var person id.Person
		var door string
		err = i.DB.QueryRowContext(ctx, `SELECT person, door FROM identity_doors WHERE credential_id = $1 OR auth = $1`, handle).Scan(&person, &door)
		if errors.Is(err, sql.ErrNoRows) {
			return false, nil
		}
		return err == nil && lets(person, door), err
	case DoorSession, DoorTap:
		value, err := i.kept.get(ctx, d.Kind, d.Key, i.Now())
		if errors.Is(err, errGone) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		defer clear(value)
		var s struct {
			Person id.Person `json:"person"`
			Door   string    `json:"door"`
		}
		if err := json.Unmarshal(value, &s); err != nil {
			return false, fmt.Errorf("read a kept %s: %w", d.Kind, err)
		}
		return lets(s.Person, s.Door), nil
	case DoorBrowser:
		hash, err := hex.DecodeString(d.Key)
		if err != nil {
			return false, fmt.Errorf("knock at a browser: its key is torn")
		}
		err = i.DB.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM identity_browsers WHERE hash = $1 AND person = $2)`, hash, p).Scan(&open)
		return open, err
	case DoorKey:
		return i.keyReached(ctx, roster, p, d.Key)
	}
	return false, fmt.Errorf("knock at a %s: there is no such kind of door", d.Kind)
}

// keyReached tells whether a team's newest key is one that the person held, or
// is sealed to the person.
func (i *Identity) keyReached(ctx context.Context, roster *seal.Roster, p id.Person, key string) (reached bool, err error) {
	name, number, _ := strings.Cut(key, ".")
	held, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return false, errors.New("knock at a key: its number is torn")
	}
	t, _ := roster.Team(name)
	if t.Epoch <= held {
		return true, nil
	}
	err = i.DB.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM identity_team_keys WHERE holder = $1 AND team = $2 AND epoch = $3)`, p, name, t.Epoch).Scan(&reached)
	return reached, err
}
