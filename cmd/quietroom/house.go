package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/layer"
	"quietroom/rooms/antivirus"
	"quietroom/rooms/antivirus/clamav"
	"quietroom/rooms/backup"
	"quietroom/rooms/chart"
	"quietroom/rooms/compliance"
	"quietroom/rooms/exchange"
	"quietroom/rooms/home"
	"quietroom/rooms/identity"
	"quietroom/rooms/identity/glass"
	"quietroom/rooms/identity/leaving"
	"quietroom/rooms/mail"
	"quietroom/rooms/reviews"
	"quietroom/rooms/signins"
	"quietroom/rooms/trackers"
	"quietroom/rooms/training"
	"quietroom/rooms/vault"
)

// house is one practice with all its rooms. This file is the only place that
// knows everybody: a room is added or taken out by its lines in furnish.
type house struct {
	*settings
	log       *slog.Logger
	held      *store.Held
	db        *store.DB
	blobs     shelf
	ledger    *ledger.Ledger
	identity  *identity.Identity
	glass     *glass.Glass
	leaving   *leaving.Leaving
	vault     *vault.Vault
	chart     *chart.Chart
	exchange  *exchange.Exchange
	home      *home.Home
	asker     home.Asker
	proof     *compliance.Compliance
	reviews   *reviews.Reviews
	backup    *backup.Backup
	mail      *mail.Mail
	signins   *signins.Signins
	trackers  *trackers.Trackers
	training  *training.Training
	antivirus *antivirus.Antivirus
	scanner   *clamav.Engine
	verifier  string // the public half of the ledger's key
	mux       *web.Mux
	named     atomic.Pointer[string] // see practiceName
	layers    []layer.Layer
	served    atomic.Bool  // people come in through a browser
	late      atomic.Int64 // by how much the clock of a trial house was put forward
	reserve   int64        // bytes of the disk that stay free for facts; see door
	inPlace   bool         // its tables are changed where they lie: it is a copy, or new
	moveIn    func()       // ends the serving; a house that came back takes this one's place
	updated   *updated     // it was brought up to date, and is not settled yet
}

// openHouse takes a house's directory for this process and opens all its rooms.
// store.ErrLocked if another process has it.
func openHouse(ctx context.Context, dir string, log *slog.Logger) (*house, error) {
	s, err := readSettings(dir)
	if err != nil {
		return nil, err
	}
	return openWith(ctx, &house{settings: s, log: log, reserve: 64 << 20})
}

// openWith opens a house that has its settings. One that does not open after an
// update is put back as it was.
func openWith(ctx context.Context, h *house) (_ *house, err error) {
	defer func() {
		if err != nil {
			was, held := h.updated != nil, h.held
			h.held = nil
			h.close()
			if was {
				err = errors.Join(fmt.Errorf("%w: %w", errUpdate, err), h.putBack())
			}
			if held != nil {
				held.Release()
			}
		}
	}()
	if h.held, err = store.Lock(h.dir); err != nil {
		return nil, err
	}
	if err := h.putBack(); err != nil {
		return nil, err
	}
	if err := h.open(ctx); err != nil {
		return nil, err
	}
	if err := h.migrate(ctx); err != nil {
		return nil, err
	}
	return h, h.settle(ctx)
}

// open opens the database and makes the rooms.
func (h *house) open(ctx context.Context) (err error) {
	if h.db, err = store.Open(ctx, h.database()); err != nil {
		return err
	}
	if h.blobs, err = h.shelf(ctx); err != nil {
		return err
	}
	if !h.inPlace {
		if err := h.bringUpToDate(ctx); err != nil {
			return err
		}
	}
	key, err := readLedgerKey(h.dir)
	if err != nil {
		return err
	}
	if h.ledger, err = ledger.Open(ctx, h.db, key, time.Now); err != nil {
		return err
	}
	outbox, err := readOutboxKey(h.dir)
	if err != nil {
		return err
	}
	h.verifier = key.Verifier()
	h.furnish(key.Another("kept"), key.Another("signins"), key.Another("training"), key.Another("antivirus"), outbox)
	return nil
}

// furnish makes the rooms and hands each the neighbours it needs.
func (h *house) furnish(kept, watch, learn, guard, outbox seal.Key) {
	h.identity = identity.New(identity.Config{DB: h.db, Anchor: h.settings, Now: h.now, MadeUp: h.MadeUp != nil, Origin: h.Origin, KeptKey: kept})
	h.glass = glass.New(glass.Config{DB: h.db, Identity: h.identity, Ledger: h.ledger, House: h.settings, Now: h.now})
	v := vault.Config{DB: h.db, Blobs: h.blobs, Ledger: h.ledger, Keys: h.identity, Glass: h.glass, Practice: h.ID, Now: h.now}
	if h.MadeUp == nil {
		v.Recovery = h.identity
	}
	h.vault = vault.New(v)
	h.glass.Vault = vault.Door{Vault: h.vault}
	offboard, knock := leaving.All(func() []layer.Layer { return h.layers })
	h.identity.Leave = offboard
	h.leaving = leaving.New(leaving.Config{DB: h.db, Identity: h.identity, Ledger: h.ledger, Records: h.vault, Offboard: offboard, Knock: knock, Log: h.log, Now: h.now})
	door := h.door()
	h.antivirus = h.newAntivirus(guard)
	h.exchange = exchange.New(exchange.Config{Vault: door, Scanner: h.antivirus, Originals: h.papers, Practice: h.practiceName, Now: h.now})
	h.chart = chart.New(chart.Config{Vault: door, People: people{h.identity}, Ledger: h.ledger, Imported: h.exchange, Scanner: h.antivirus, Glass: h.glass, Now: h.now})
	h.backup = h.newBackup(kept)
	h.mail = mail.New(mail.Config{DB: h.db, Now: h.now, Practice: h.ID, Outbox: outbox, Origin: h.Origin, MadeUp: h.MadeUp != nil, Addresses: mailboxes{h}, Name: people{h.identity}.Name})
	h.backup.Notify = h.mail.Notify
	h.identity.Notify, h.glass.Notify = h.mail.Notify, h.mail
	h.signins = signins.New(signins.Config{DB: h.db, Now: h.now, Practice: h.ID, Key: watch, Mailboxes: mailboxes{h}, Name: people{h.identity}.Name})
	h.trackers = trackers.New(trackers.Config{DB: h.db, Now: h.now, Scratch: scratch, Mail: trackers.SystemDNS{}, Local: h.MadeUp != nil, Name: people{h.identity}.Name, Log: h.log})
	h.training = h.newTraining(learn)
	h.home = home.New(home.Config{
		DB: h.db, Now: h.now, Evidence: h.evidence, Patients: h.vault.Count, Drills: func() []layer.Drill { return attacks },
		Owner: h.identity.Sessions().IsOwner, Head: h.ledger.Head, Installed: h.Installed, Owners: people{h.identity}.owners, Notify: h.mail.Notify, Elsewhere: h.elsewhere, Week: h.week,
		Verbs: []home.Verb{
			{Text: "Someone is leaving", About: "Close every door to one person, and prove it. 1 minute.", Icon: "leave", Path: "/leaving"},
			{Text: "Something happened", About: "Lost, stolen, clicked, odd. What to do now, and what to write down.", Icon: "bell", Path: "/happened"},
			{Text: "Show proof", About: "For an auditor, an insurer, or your own sleep.", Icon: "proof", Path: "/proof"},
		},
	})

	h.asker.Now = h.now
	h.reviews = reviews.New(reviews.Config{DB: h.db, Now: h.now, Installed: h.Installed, Practice: h.practiceName, Evidence: h.home.Kept, Name: people{h.identity}.Name, People: people{h.identity}.here, Tap: h.identity.Tap})
	h.proof = compliance.New(compliance.Config{DB: h.db, Now: h.now, Ledger: h.ledger, Key: h.verifier, Evidence: h.home.Kept, Name: people{h.identity}.Name, Works: people{h.identity}.works,
		Practice: h.practiceName, Version: version, Print: printPage, Papers: h.signedPapers, Letters: h.letters})

	h.layers = []layer.Layer{
		h.home.Layer(),
		h.proof.Layer(),
		h.reviews.Layer(),
		h.identity.Layer(),
		h.leaving.Layer(),
		h.glass.Layer(),
		h.vault.Layer(),
		h.chart.Layer(),
		h.exchange.Layer(),
		h.backup.Layer(),
		h.mail.Layer(),
		h.signins.Layer(),
		h.trackers.Layer(),
		h.training.Layer(),
		h.antivirus.Layer(),
	}

	h.mux = web.NewMux(web.Config{Practice: h.practiceName, MadeUp: h.MadeUp != nil, Log: h.log})
	h.mux.SetSessions(h.backup.Sessions(h.glass.Sessions(h.identity.Sessions())))
	for _, l := range h.layers {
		if l.Mount != nil {
			l.Mount(h.mux)
		}
	}
}

// door is the vault for the rooms that write: closed to writing a little before
// the disk is full. Opening a chart needs a fact, and a fact needs some space.
func (h *house) door() door { return door{vault.Door{Vault: h.vault}, h} }

type door struct {
	vault.Door
	house *house
}

// Begin is Vault.Begin, or store.ErrFull in words for people.
func (d door) Begin(ctx context.Context) (layer.Batch, error) {
	if free, err := freeSpace(d.house.dir); err == nil && free < d.house.reserve {
		return nil, &web.Error{Status: http.StatusInsufficientStorage, Text: "The server’s disk is full, so nothing more can be written. What is here can be read as always.",
			Fix: "Please tell whoever looks after the server that it needs space. Keep what you wrote until then.", Err: store.ErrFull}
	}
	return d.Door.Begin(ctx)
}

// people gives the chart the names that colleagues use.
type people struct{ *identity.Identity }

func (p people) Name(ctx context.Context, who id.Person) string {
	name, err := p.Identity.Name(ctx, who)
	if err != nil {
		return "" // somebody who is not on the list any more
	}
	return name
}

// works tells whether somebody is still here.
func (p people) works(ctx context.Context, who id.Person) bool {
	roster, err := p.Roster(ctx)
	if err != nil {
		return false
	}
	person, ok := roster.Person(string(who))
	return ok && !person.Gone
}

// here are all who work here now.
func (p people) here(ctx context.Context) (all []id.Person, err error) {
	if !p.Founded() {
		return nil, nil
	}
	roster, err := p.Roster(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range roster.People() {
		if person, ok := roster.Person(name); ok && !person.Gone {
			all = append(all, id.Person(name))
		}
	}
	return all, nil
}

// owners are those who get the weekly letter.
func (p people) owners(ctx context.Context) (all []id.Person, err error) {
	here, err := p.here(ctx)
	if err != nil {
		return nil, err
	}
	roster, err := p.Roster(ctx)
	if err != nil {
		return nil, err
	}
	for _, who := range here {
		if person, ok := roster.Person(string(who)); ok && slices.Contains(person.Roles, identity.Owner) {
			all = append(all, who)
		}
	}
	return all, nil
}

// elsewhere and week read the reviews, for home.
func (h *house) elsewhere(ctx context.Context) (string, time.Time, error) {
	return h.reviews.Elsewhere(ctx)
}

func (h *house) week(ctx context.Context) (days []home.Day, err error) {
	coming, err := h.reviews.Coming(ctx, 7)
	for _, c := range coming {
		days = append(days, home.Day{At: c.At, Text: c.Text, Page: c.Page})
	}
	return days, err
}

// letters are the heads that the owner has on paper, for a binder.
func (h *house) letters(ctx context.Context) (all []compliance.Letter, err error) {
	letters, err := h.home.Letters(ctx)
	for _, l := range slices.Backward(letters) {
		all = append(all, compliance.Letter{At: l.At, Note: l.Note})
	}
	return all, err
}

// signedPapers are the practice's documents for a binder.
func (h *house) signedPapers(ctx context.Context, from, to time.Time) (all []compliance.Paper, err error) {
	papers, err := h.reviews.Papers(ctx, from, to)
	for _, p := range papers {
		all = append(all, compliance.Paper{Name: p.Name, Title: p.Title, Status: p.Status, At: p.At, HTML: []byte(p.HTML)})
	}
	return all, err
}

// papers hands the chart's notes and files to an export.
func (h *house) papers(ctx context.Context, p id.Patient) iter.Seq2[exchange.Original, error] {
	return func(yield func(exchange.Original, error) bool) {
		for paper, err := range h.chart.Papers(ctx, p) {
			if !yield(exchange.Original{Title: paper.Title, Name: paper.Name, When: paper.At.Format(time.DateOnly), Open: paper.Open}, err) {
				return
			}
		}
	}
}

// practiceName is asked for each page, and never changes once it is given.
func (h *house) practiceName() string {
	if name := h.named.Load(); name != nil {
		return *name
	}
	name := h.identity.PracticeName(context.Background())
	if name != "" {
		h.named.Store(&name)
	}
	return name
}

// evidence is what all rooms can prove. A room that fails to say is not safe:
// its old evidence runs out by itself.
func (h *house) evidence(ctx context.Context) iter.Seq2[layer.Evidence, error] {
	return h.asker.Ask(ctx, h.layers)
}

// now is the house's clock. Only a trial house's goes forward by itself.
func (h *house) now() time.Time { return time.Now().Add(time.Duration(h.late.Load())) }

// run does the work that needs no person: facts are numbered, jobs run on their
// clock, until ctx ends.
func (h *house) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for ctx.Err() == nil {
			if err := h.ledger.Run(ctx); err != nil && ctx.Err() == nil {
				h.log.ErrorContext(ctx, "the ledger waits", "err", err)
				sleep(ctx, time.Second)
			}
		}
	})
	holder := string(id.New[id.Session]())
	for _, l := range h.layers {
		for _, job := range l.Jobs {
			wg.Go(func() { h.runJob(ctx, l.Name, holder, job) })
		}
	}
}

// runJob runs a job at its times, on one instance at a time.
func (h *house) runJob(ctx context.Context, room, holder string, job layer.Job) {
	for ctx.Err() == nil {
		mine, err := h.db.Lease(ctx, "job "+room+" "+job.Name, holder, time.Now(), job.Every+time.Minute)
		if err == nil && mine {
			err = job.Run(ctx)
		}
		if err != nil && ctx.Err() == nil {
			h.log.ErrorContext(ctx, "a job failed", "room", room, "job", job.Name, "err", err)
		}
		select {
		case <-ctx.Done():
		case <-job.Wake:
		case <-time.After(job.Every):
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// close numbers the waiting facts and gives the directory back.
func (h *house) close() error {
	var errs []error
	if h.ledger != nil {
		for {
			n, err := h.ledger.Sequence(context.Background())
			errs = append(errs, err)
			if n == 0 || err != nil {
				break
			}
		}
	}
	if h.scanner != nil {
		errs = append(errs, h.scanner.Close())
	}
	if h.db != nil {
		errs = append(errs, h.db.Close())
	}
	if h.blobs.Closer != nil {
		errs = append(errs, h.blobs.Close())
	}
	if h.held != nil {
		errs = append(errs, h.held.Release())
	}
	return errors.Join(errs...)
}

func readLedgerKey(dir string) (ledger.Key, error) {
	text, err := os.ReadFile(filepath.Join(dir, "ledger.key"))
	if errors.Is(err, fs.ErrNotExist) {
		return ledger.Key{}, fmt.Errorf("%s is missing; bring it back from a backup: without it nothing can be signed", filepath.Join(dir, "ledger.key"))
	}
	if err != nil {
		return ledger.Key{}, err
	}
	key, err := ledger.ParseKey(strings.TrimSpace(string(text)))
	if err != nil { // whose words are not told: they may hold the key
		return ledger.Key{}, fmt.Errorf("%s cannot be read; bring it back from a backup", filepath.Join(dir, "ledger.key"))
	}
	return key, nil
}

// unlock opens a session for one command with the personal code in a file, or
// on standard input ("-"). In a real house the code is used up, and the one that
// takes its place is written over it, or printed.
func (h *house) unlock(ctx context.Context, c *call, file string) (session context.Context, done func(), err error) {
	code, err := c.readCode(file)
	if err != nil {
		return nil, nil, err
	}
	session, done, next, err := h.identity.EnterOnce(ctx, code)
	if errors.Is(err, identity.ErrNoDoor) {
		return nil, nil, errors.New("this code opens nothing here; it may have been used already, or belong to another practice")
	}
	if err != nil || next.Kind == "" {
		return session, done, err
	}
	if file != "-" {
		if err := writeFile(filepath.Dir(file), filepath.Base(file), []byte(next.Text()+"\n")); err == nil {
			fmt.Fprintf(c.err, "The code was used up. The new one stands in %s; please print it and remove the file.\n", file)
			return session, done, nil
		}
	}
	fmt.Fprintf(c.err, "The code was used up. This is the new one, please write it down now:\n  %s\n", next.Text())
	return session, done, nil
}

func (c *call) readCode(file string) (seal.Code, error) {
	if file == "" {
		return seal.Code{}, usage("this needs somebody's keys: --unlock FILE names a file that holds a personal code, - reads it from standard input")
	}
	var text []byte
	var err error
	if file == "-" {
		text, err = readLine(c.in)
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return seal.Code{}, fmt.Errorf("read the code: %w", err)
	}
	defer clear(text)
	return seal.ParseCode(seal.Personal, string(text))
}
