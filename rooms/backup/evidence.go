package backup

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os/exec"
	"slices"
	"strings"
	"time"

	"quietroom/ground/web"
	"quietroom/layer"
)

// evidence says how old the newest backup is, when one was opened again, where
// they lie, and whether copies of keys expire. Silence turns to Not known by
// itself: every sentence runs out.
func (b *Backup) evidence(ctx context.Context) iter.Seq2[layer.Evidence, error] {
	return func(yield func(layer.Evidence, error) bool) {
		s, err := b.standing(ctx)
		if err != nil {
			for _, claim := range []string{"backup.fresh", "backup.opened", "backup.targets", "backup.keys"} {
				if !yield(layer.Evidence{Claim: claim, Place: layer.Backups}, err) {
					return
				}
			}
			return
		}
		if s.unborn {
			return
		}
		looks := []func(standing) layer.Evidence{b.fresh}
		if len(s.targets) > 0 {
			looks = append(looks, b.opened, b.places, b.keys, b.sheetEvidence, b.exercised)
		}
		for _, look := range looks {
			e := look(s)
			e.Place, e.Page = layer.Backups, "/backups"
			if e.Seen.IsZero() {
				e.Seen = s.now
			}
			if e.Until.IsZero() {
				e.Until = s.now.Add(2*s.settings.every() + time.Hour)
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// standing is all that the sentences are made of.
type standing struct {
	now      time.Time
	settings Settings
	targets  []Target
	last     map[string]Saved
	failing  map[string]Failing
	proofs   []Proof
	opening  *Opening
	missing  bool // restic is not there
	unborn   bool // nobody has founded the practice yet
}

func (b *Backup) standing(ctx context.Context) (s standing, err error) {
	s.now = b.Now()
	if s.unborn = len(b.Root()) == 0; s.unborn {
		return s, nil
	}
	if s.settings, err = b.Settings(ctx); err != nil {
		return s, err
	}
	if s.targets, err = b.Targets(ctx); err != nil {
		return s, err
	}
	if s.last, err = b.Last(ctx); err != nil {
		return s, err
	}
	if s.failing, err = b.failing(ctx); err != nil {
		return s, err
	}
	if s.proofs, err = b.Proofs(ctx, 1); err != nil {
		return s, err
	}
	if b.Keys != nil {
		o, err := b.opening(ctx)
		if err != nil {
			return s, err
		}
		s.opening = &o
	}
	program := b.Restic
	if program == "" {
		program = "restic"
	}
	_, err = exec.LookPath(program)
	s.missing = errors.Is(err, exec.ErrNotFound)
	return s, nil
}

// newest is the newest state at any place.
func (s standing) newest() (at time.Time) {
	for _, t := range s.targets {
		if l, ok := s.last[t.ID]; ok && l.At.After(at) {
			at = l.At
		}
	}
	return at
}

func (b *Backup) fresh(s standing) layer.Evidence {
	e := layer.Evidence{Claim: "backup.fresh", State: layer.Safe}
	at := s.newest()
	switch {
	case b.MadeUp && len(s.targets) == 0:
		e.State, e.Text = layer.Off, "Nothing of this house is backed up: everybody in it is made up."
	case s.missing:
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 2, "Ask whoever looks after the server to run: apt-get install restic"
		e.Text = "No backup can be made. The program for it, restic, is not on the server."
	case len(s.targets) == 0:
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 5, "Say where backups go"
		e.Text = "There is no backup. If this computer dies, what is sealed here is gone."
	case at.IsZero() && len(s.failing) == 0:
		e.State, e.Text = layer.Checking, "The first backup is being made."
	case at.IsZero():
		e.State, e.Fix, e.Minutes = layer.NeedsYou, "Look at the places", 5
		e.Text = "No backup has been made yet. " + s.whyNot()
	case at.After(s.now.Add(10 * time.Minute)):
		e.State, e.Fix, e.Minutes = layer.NeedsYou, "Ask whoever looks after the server to set its clock", 5
		e.Text = "The newest backup was made in the future. The server’s clock is wrong, or was."
	case s.now.Sub(at) > s.settings.every()+graceOf(s.settings):
		e.State, e.Fix, e.Minutes = layer.NeedsYou, "Look at the places", 5
		if s.now.Sub(at) > max(day, 4*s.settings.every()) {
			e.State = layer.Urgent
		}
		e.Text = fmt.Sprintf("The newest backup was made %s, and one is due every %s. %s", web.Age(s.now, at), web.Minutes(s.settings.EveryMinutes), s.whyNot())
	default:
		e.Text = fmt.Sprintf("Newest backup %s, at %s.", made(s.now, at), s.where())
		e.Seen, e.Until = at, at.Add(s.settings.every()+graceOf(s.settings)+time.Hour)
	}
	return e
}

// made says how old: "26 minutes old".
func made(now, at time.Time) string {
	age := web.Age(now, at)
	if rest, ok := strings.CutSuffix(age, " ago"); ok {
		return rest + " old"
	}
	return "made " + age
}

func (s standing) where() string {
	n := 0
	for _, t := range s.targets {
		if _, ok := s.last[t.ID]; ok && s.failing[t.ID].At.IsZero() {
			n++
		}
	}
	if n == 1 {
		return "1 place"
	}
	return fmt.Sprintf("%d places", n)
}

// whyNot says which places fail, and how.
func (s standing) whyNot() string {
	var list []string
	for _, t := range s.targets {
		if f, ok := s.failing[t.ID]; ok {
			list = append(list, t.Name+": "+f.Said)
		}
	}
	if len(list) == 0 {
		return "The server has not tried since."
	}
	return strings.Join(list, "; ") + "."
}

func (b *Backup) opened(s standing) layer.Evidence {
	e := layer.Evidence{Claim: "backup.opened", State: layer.NotKnown, Text: "No backup has been opened again yet. Until one has, nobody knows whether they are any good."}
	if len(s.proofs) == 0 {
		if s.newest().IsZero() {
			e.Text = "There is nothing to open again yet."
		}
		return e
	}
	p := s.proofs[0]
	e.Seen, e.Until = p.At, p.At.Add(proofEvery+day)
	if !p.Held {
		e.State, e.Fix, e.Minutes = layer.Urgent, "Look at what was found", 10
		e.Text = "A backup was tried and is not as it should be. " + p.Findings[0]
		if len(p.Findings) > 1 {
			e.Text += fmt.Sprintf(" And %d more.", len(p.Findings)-1)
		}
		return e
	}
	e.State = layer.Safe
	e.Text = fmt.Sprintf("Opened and checked %s, took %s", web.Age(s.now, p.At), took(p.Took))
	if at := s.newest(); !at.IsZero() {
		e.Text += "; newest backup " + made(s.now, at)
	}
	e.Text += "."
	e.Why = fmt.Sprintf("It came back from %s into an empty house: %s facts, %s records and the list of people are the ones that were saved, and %d of %d drill records opened. Whether patients’ records open only their own people’s keys can show.",
		p.Target, grouped(int(p.Checked.Facts)), grouped(p.Checked.Records), p.Drill, drillRecords)
	if s.opening != nil && s.opening.All > 0 {
		o := s.opening
		e.Text = strings.TrimSuffix(e.Text, ".") + fmt.Sprintf("; %s of %s keys opened", grouped(o.Opened), grouped(o.All))
		if o.Waiting > 0 {
			e.Text += fmt.Sprintf(", %s wait for %s", grouped(o.Waiting), listed(o.Wait))
		}
		e.Text += "."
		e.Why += fmt.Sprintf(" Keys were opened here, with the keys of people who were signed in this week; %s of the %s in the copy that came back are the same, byte for byte.", grouped(o.Same), grouped(o.Restored))
		if o.Failed > 0 {
			e.State, e.Fix, e.Minutes = layer.Urgent, "Ask whoever looks after the server to bring the house back from a backup", 30
			e.Text = fmt.Sprintf("%s of %s keys do not open with the keys of the people they are meant for.", grouped(o.Failed), grouped(o.All))
		}
	}
	if len(p.Skipped) > 0 {
		e.Why += " Passed over: " + strings.Join(p.Skipped, "; ") + "."
	}
	return e
}

func listed(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

func took(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%d s", max(1, int(d.Seconds())))
	}
	return web.Minutes(int(d.Minutes()))
}

func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// places: two at least, one of them out of the house, none of them dead.
func (b *Backup) places(s standing) layer.Evidence {
	e := layer.Evidence{Claim: "backup.targets", State: layer.Safe}
	outside, waiting, near, keeps := 0, "", "", false
	var dead []string
	for _, t := range s.targets {
		if t.Outside && b.takes(t) {
			outside++
		}
		if !b.takes(t) {
			waiting = t.Name
		}
		if t.Kind == Folder && !b.MadeUp && b.SameDisk != nil && b.SameDisk(b.Dir, t.Place) {
			near = t.Name
		}
		keeps = keeps || !t.Expires || t.Lock > 0
		if f, ok := s.failing[t.ID]; ok && s.now.Sub(f.Since) > time.Hour {
			dead = append(dead, fmt.Sprintf("%s: %s, since %s", t.Name, f.Said, strings.TrimSuffix(web.Age(s.now, f.Since), " ago")))
		}
	}
	slices.Sort(dead)
	switch {
	case len(dead) > 0:
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 5, "Look at the places"
		e.Text = "A place for backups does not work. " + strings.Join(dead, "; ") + "."
	case waiting != "":
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 3, "Write down the agreement"
		e.Text = waiting + " gets no backups yet: nobody has written down the agreement with whoever keeps it."
	case near != "":
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 10, "Choose another disk"
		e.Text = near + " lies on the same disk as the practice. A dead disk takes both."
	case len(s.targets) < 2:
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 5, "Add a second place"
		e.Text = "All backups lie at one place. What takes that place takes them all."
	case outside == 0:
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 5, "Add a place out of the house"
		e.Text = "All backups lie in the building. A fire or a thief takes them with the server."
	default:
		e.Text = fmt.Sprintf("Backups lie at %d places, %d of them out of the house.", len(s.targets), outside)
		if !keeps {
			e.Why = "Whoever takes over this server can remove what lies at all of them, except on a disk that is unplugged meanwhile. A place that only adds, or a bucket with object lock, keeps what it has."
		}
		if slices.ContainsFunc(s.targets, func(t Target) bool { return !t.Expires }) {
			e.Why = "At one of them nothing can be removed, also not by whoever takes over this server."
		}
		for _, t := range s.targets {
			if t.Lock > 0 {
				e.Why = strings.TrimSpace(e.Why + fmt.Sprintf(" What is written to %s stays there for %d days, also if somebody takes over this server.", t.Name, t.Lock))
			}
		}
	}
	return e
}

// keys: copies of keys expire, so that who was erased is gone, and not before it is safe.
func (b *Backup) keys(s standing) layer.Evidence {
	e := layer.Evidence{Claim: "backup.keys", State: layer.Safe}
	expiring := 0
	for _, t := range s.targets {
		if t.Expires && b.takes(t) {
			expiring++
		}
	}
	late := s.settings.lateKeys(s.targets, s.now)
	switch {
	case expiring == 0:
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 5, "Add a place that lets old copies go"
		e.Text = "No place takes copies of keys: from what lies there nobody could read a record again."
	case len(s.settings.Kept) > 0:
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 10, "Change the bucket’s rules"
		e.Text = "Copies of keys stay longer than 35 days at a place. " + strings.Join(s.settings.Kept, " ")
	case len(late) > 0:
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 5, "Look at the places"
		e.Text = "Copies of keys older than 35 days lie at " + listed(late) + ". A patient who was erased could be brought back from there."
		e.Why = "A copy goes only while seven newer ones, read back, lie at each of two places."
	case expiring < keyPlaces:
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 5, "Add a second place"
		e.Text = "Copies of keys cannot expire yet: that is safe only with two places that have newer ones."
	default:
		e.Text = "No copy of a key at the places that were reached is older than 35 days, so who is erased is gone from them by then."
	}
	return e
}

// sheetEvidence: without the sheet a backup does not open once this computer is gone.
func (b *Backup) sheetEvidence(s standing) layer.Evidence {
	e := layer.Evidence{Claim: "backup.sheet", State: layer.YourWord}
	if s.settings.SheetAt.IsZero() {
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 3, "Print the recovery sheet"
		e.Text = "The recovery sheet was not printed yet. Without it no backup opens once this computer is gone."
		return e
	}
	e.Seen = s.settings.SheetAt
	e.Text = fmt.Sprintf("The recovery sheet is kept: %s, said by %s.", s.settings.SheetKept, s.settings.SheetBy)
	if s.settings.SheetTargets != len(s.targets) {
		e.State, e.Minutes, e.Fix = layer.NeedsYou, 3, "Print the recovery sheet again"
		e.Text = "The places have changed since the recovery sheet was printed."
	}
	return e
}

// Lasted says how long it took, in words.
func (p Proof) Lasted() string { return took(p.Took) }

// Lasted says how long it took, in words.
func (s Saved) Lasted() string { return took(s.Took) }

// exercised: the plan was tried by people in the last year (45 CFR
// 164.308(a)(7)(ii)(D)). The first exercise is due a year after the first place was taken.
func (b *Backup) exercised(s standing) layer.Evidence {
	e := layer.Evidence{Claim: "backup.exercise", State: layer.YourWord, Seen: s.settings.Exercised}
	from := s.settings.Exercised
	if from.IsZero() {
		from = s.now
		for _, t := range s.targets {
			if t.Added.Before(from) {
				from = t.Added
			}
		}
		e.Text = fmt.Sprintf("The plan for a bad day was not exercised yet. The first exercise is due by %s.", from.AddDate(1, 0, 0).Format("2 January 2006"))
		e.State = layer.Off
		e.Seen = s.now
	} else {
		e.Text = fmt.Sprintf("The plan for a bad day was exercised %s, said by %s: %s", web.Age(s.now, from), s.settings.ExercisedBy, s.settings.ExerciseSaid)
	}
	due := from.AddDate(1, 0, 0)
	if e.By = due; s.now.After(due.AddDate(0, -1, 0)) {
		e.State, e.Fix, e.Minutes = layer.NeedsYou, "Exercise the plan", 60
		e.Text = fmt.Sprintf("The plan for a bad day is to be exercised by %s: bring a backup back on another computer, with the sheet alone.", due.Format("2 January 2006"))
	}
	return e
}
