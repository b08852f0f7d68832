package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/layer"
	"quietroom/madeup"
	"quietroom/rooms/chart"
	"quietroom/rooms/identity"
	"quietroom/rooms/vault"
)

// makeDemo makes a made-up house in dir and fills it. codes gets every person's
// code, by handle. A house that was not finished is made anew; a real house is
// never touched.
func makeDemo(ctx context.Context, dir, origin string, m madeUp, log *slog.Logger, step func(done, total int)) (codes map[string]seal.Code, err error) {
	if err := clearDemo(dir); err != nil {
		return nil, err
	}
	if _, err := newSettings(dir, "house.db", origin, &m, time.Now()); err != nil {
		return nil, err
	}
	return peopleDemo(ctx, dir, log, step)
}

// peopleDemo fills the new made-up house in dir, in whatever database it is.
func peopleDemo(ctx context.Context, dir string, log *slog.Logger, step func(done, total int)) (codes map[string]seal.Code, err error) {
	h, err := openHouse(ctx, dir, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	p := madeup.New(h.MadeUp.Seed, h.MadeUp.Patients, h.MadeUp.Day)
	codes, care, err := h.hire(ctx, p)
	if err != nil {
		return nil, err
	}
	if err := h.fill(ctx, p, codes["owner-1"], care, step); err != nil {
		return nil, err
	}
	h.MadeUp.Whole = true
	return codes, h.save()
}

// clearDemo removes an older made-up house; it refuses to remove anything else.
func clearDemo(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	s, err := readSettings(dir)
	if err != nil || s.MadeUp == nil {
		return fmt.Errorf("%s is not empty and not a demo; choose another --dir, nothing was changed", dir)
	}
	held, err := store.Lock(dir)
	if errors.Is(err, store.ErrLocked) {
		return err // somebody imports or exports there just now
	}
	if err == nil {
		err = held.Release()
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// careOf is a clinician and the team of those who share the care.
type careOf struct {
	person id.Person
	team   id.Team
}

// hire founds the practice with its owner and lets everybody join. The owner
// belongs to every team; each clinician has a care team with the owner and the
// supervisors in it.
func (h *house) hire(ctx context.Context, p *madeup.Practice) (codes map[string]seal.Code, care map[string]careOf, err error) {
	codes, care = map[string]seal.Code{}, map[string]careOf{}
	people := map[string]*identity.Newcomer{}
	for _, who := range p.People {
		n, err := h.identity.Newcomer(who.Name, who.Mail, roles(who)...)
		if err != nil {
			return nil, nil, err
		}
		codes[who.Handle] = seal.NewCode(seal.Personal)
		if err := h.identity.AddCode(n, codes[who.Handle], "Code on paper"); err != nil {
			return nil, nil, err
		}
		// A second way in that nobody in the demo needs, so that home is as calm as a practice's should be.
		if err := h.identity.AddCode(n, seal.NewCode(seal.Personal), "Code in the safe"); err != nil {
			return nil, nil, err
		}
		people[who.Handle] = n
	}
	owner, err := h.identity.Found(ctx, p.Name, people["owner-1"])
	if err != nil {
		return nil, nil, err
	}
	defer owner.Wipe()
	kit, err := seal.RecoveryFromCode(seal.NewCode(seal.Kit).KEK(), h.ID)
	if err != nil {
		return nil, nil, err
	}
	if err := h.identity.SetRecovery(ctx, owner, kit.Public()); err != nil {
		return nil, nil, err
	}
	var directory, billing, supervisors []id.Person
	for _, who := range p.People {
		n := people[who.Handle]
		if who.Handle != "owner-1" {
			if err := h.identity.Join(ctx, owner, n); err != nil {
				return nil, nil, err
			}
			directory = append(directory, n.Person)
		}
		if slices.Contains(who.Roles, "billing") {
			billing = append(billing, n.Person)
		}
		if slices.Contains(who.Roles, "supervisor") && who.Handle != "owner-1" {
			supervisors = append(supervisors, n.Person)
		}
	}
	if err := h.fillTeams(ctx, owner, directory, billing); err != nil {
		return nil, nil, err
	}
	for _, who := range p.People {
		if !slices.Contains(who.Roles, "clinician") {
			continue
		}
		others := slices.DeleteFunc(slices.Clone(supervisors), func(p id.Person) bool { return p == people[who.Handle].Person })
		if who.Handle != "owner-1" {
			others = append(others, owner.Person)
		}
		team, err := h.identity.FormOwnTeam(ctx, owner, who.Name, people[who.Handle].Person, others...)
		if err != nil {
			return nil, nil, err
		}
		care[who.Handle] = careOf{people[who.Handle].Person, team}
	}
	return codes, care, h.glass.Make(ctx, owner)
}

func roles(who madeup.Person) []string {
	return slices.DeleteFunc(slices.Clone(who.Roles), func(r string) bool { return r == identity.Owner && who.Handle == "owner-1" })
}

// fillTeams puts people into the two teams that every practice has.
func (h *house) fillTeams(ctx context.Context, owner *identity.Unlocked, directory, billing []id.Person) error {
	teams, err := h.identity.Teams(ctx)
	if err != nil {
		return err
	}
	for _, t := range teams {
		members := map[string][]id.Person{identity.DirectoryTeam: directory, identity.BillingTeam: billing}[t.Kind]
		for _, m := range members {
			if err := h.identity.AddMember(ctx, owner, t.ID, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// atOnce is how many patients one act of filling takes in.
const atOnce = 100

// fill admits all patients, in the owner's name, with their notes and files.
func (h *house) fill(ctx context.Context, p *madeup.Practice, owner seal.Code, care map[string]careOf, step func(done, total int)) error {
	ctx, done, err := h.identity.Enter(ctx, owner)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var next, made atomic.Int64
	for range 4 { // while one waits for the disk, the others seal
		wg.Go(func() {
			for ctx.Err() == nil {
				from := int(next.Add(atOnce)) - atOnce
				if from >= p.Len() {
					return
				}
				to := min(from+atOnce, p.Len())
				if err := h.fillSome(ctx, p, from, to, care); err != nil {
					cancel(err)
					return
				}
				step(int(made.Add(int64(to-from))), p.Len())
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (h *house) fillSome(ctx context.Context, p *madeup.Practice, from, to int, care map[string]careOf) error {
	b, err := h.vault.Begin(ctx)
	if err != nil {
		return err
	}
	defer b.Drop()
	for i := from; i < to; i++ {
		if err := h.fillPatient(ctx, b, p.Patient(i), p.Today, care); err != nil {
			return err
		}
	}
	return b.Commit(ctx)
}

func (h *house) fillPatient(ctx context.Context, b *vault.Batch, a madeup.Patient, today time.Time, care map[string]careOf) error {
	author := care[a.Clinician].person
	patient, err := b.Admit(ctx, cardOf(a, today, care[a.Clinician].team))
	if err != nil {
		return err
	}
	c, err := b.In(ctx, patient, vault.Chart)
	if err != nil {
		return err
	}
	for _, n := range a.Notes {
		if _, err := b.Put(ctx, c, chart.SignedNote(n.Kind, n.Text, author, n.At)); err != nil {
			return err
		}
	}
	for _, f := range a.Files {
		if _, err := b.Put(ctx, c, chart.File(f.Name, f.Type, f.Bytes, author, f.At)); err != nil {
			return err
		}
	}
	return nil
}

// cardOf writes a made-up patient as the practice would.
func cardOf(a madeup.Patient, today time.Time, team id.Team) layer.Card {
	card := layer.Card{
		Family: a.Family, Given: a.Given, Preferred: a.Preferred, Pronouns: a.Pronouns,
		Born: a.BirthDate.Format(time.DateOnly), Sex: a.Sex, Phones: a.Phones,
		Address:   a.Address.Line + ", " + a.Address.City + ", " + a.Address.State + " " + a.Address.ZIP,
		Language:  "English",
		Emergency: []layer.Contact{{Name: a.Emergency.Name, Bond: a.Emergency.Relation, Phone: a.Emergency.Phone}},
		Safe:      layer.SafeContact{Words: a.Safe.Words, Ways: map[string]bool{}},
		Insurance: a.Insurance.Payer + ", " + a.Insurance.Member,
		Numbers:   []layer.Number{{System: "practice", Value: a.Number}},
		Care:      []id.Team{team},
		Since:     a.Since.Format(time.DateOnly),
	}
	if a.Email != "" {
		card.Mails = []string{a.Email}
	}
	for _, way := range a.Safe.Allowed {
		card.Safe.Ways[way] = true
	}
	for _, way := range a.Safe.Not {
		card.Safe.Ways[way] = false
	}
	if next, ok := a.NextSession(today); ok {
		card.Times = []layer.Time{{At: next.UnixMilli(), Minutes: 50, Every: 7}}
	}
	return card
}

// outside refuses a folder for codes that lies in the house, by whatever name.
func outside(dir, codesDir string) error {
	inside, err := filepath.Rel(followed(dir), followed(codesDir))
	if err == nil && filepath.IsLocal(inside) {
		return fmt.Errorf("--codes %s lies in the house: whoever takes the house would have the codes; choose a folder outside", codesDir)
	}
	return nil
}

// followed is an absolute path with the links followed in as much of it as is there.
func followed(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	if above := filepath.Dir(path); above != path {
		return filepath.Join(followed(above), filepath.Base(path))
	}
	return path
}

// writeCodes writes the made-up people's codes, one file a person, named by
// role and number, into a folder outside the house.
func writeCodes(dir, codesDir string, codes map[string]seal.Code) error {
	if err := outside(dir, codesDir); err != nil {
		return err
	}
	if err := os.MkdirAll(codesDir, 0o700); err != nil {
		return err
	}
	for handle, code := range codes {
		if err := writeFile(codesDir, handle, []byte(code.Text()+"\n")); err != nil {
			return err
		}
	}
	return nil
}
