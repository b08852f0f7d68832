package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/ground/web"
	"quietroom/rooms/backup/bucket"
	"quietroom/rooms/backup/restic"
)

// Kinds of places.
const (
	Folder = "folder" // a folder or a USB disk
	SFTP   = "sftp"
	S3     = "s3"
	REST   = "rest" // restic's own protocol, often append-only
)

// Target is one place where backups go.
type Target struct {
	ID     string `json:"-"`
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Place  string `json:"place"` // /mnt/usb/x · host:port/path · https://host/bucket/x · https://host/x
	User   string `json:"user,omitempty"`
	Secret string `json:"secret,omitempty"`
	Region string `json:"region,omitempty"`
	Key    string `json:"key,omitempty"`   // SFTP: file with the private key; empty: ssh's own
	Known  string `json:"known,omitempty"` // SFTP: the server's host key, as a line of known_hosts

	Outside bool      `json:"outside"` // not in the building
	Expires bool      `json:"expires"` // measured: what is removed here is gone
	UpKiB   int       `json:"up,omitempty"`
	Lock    int       `json:"lock,omitempty"`     // days for which nothing can be removed from a bucket
	KeysNot string    `json:"keys_not,omitempty"` // why no keys go there, for people
	Added   time.Time `json:"-"`
	Word    *Word     `json:"word,omitempty"`
	SSHDir  string    `json:"-"` // where the known_hosts file is written
}

// Word is what a person stated of an outside place: an agreement (45 CFR
// 164.308(b)), or why it is no business associate.
type Word struct {
	Agreement string    `json:"agreement,omitempty"` // day of the agreement
	Contact   string    `json:"contact,omitempty"`
	Because   string    `json:"because,omitempty"` // why it is no business associate
	By        string    `json:"by"`
	At        time.Time `json:"at"`
}

// String keeps credentials out of logs.
func (t Target) String() string { return t.Kind + " target" }

var host = regexp.MustCompile(`^[A-Za-z0-9.-]+(:\d+)?$`)

// check refuses what is no place; what it says is for the person who typed it.
func (t Target) check() error {
	no := func(text, fix string) error {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: text, Fix: fix}
	}
	if strings.ContainsAny(t.Name+t.Place+t.User+t.Secret+t.Key+t.Region, "\x00\n\r") || strings.TrimSpace(t.Name) == "" || len(t.Name) > 60 {
		return no("The place needs a name of at most 60 letters, on one line.", "Call it what you call it: “USB disk in the safe”.")
	}
	switch t.Kind {
	case Folder:
		if !filepath.IsAbs(t.Place) {
			return no("A folder is named from the top of the disk.", "Write it like /mnt/usb/quietroom.")
		}
	case SFTP:
		h, p, ok := strings.Cut(t.Place, "/")
		if !ok || p == "" || !host.MatchString(h) || t.User == "" || strings.ContainsAny(t.User, " '\"\\$`;@") || strings.ContainsAny(t.Key, " '\"\\$`;") {
			return no("An SFTP place is a server, a folder on it and a user.", "Write it like backup.example.org:22/srv/quietroom, with the user beside it.")
		}
	case S3, REST:
		u, err := url.Parse(t.Place)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || t.Kind == S3 && strings.Trim(u.Path, "/") == "" {
			return no("This does not read like the address of such a place.", "Write it like https://s3.example.org/bucket/folder, with key and secret beside it.")
		}
		if u.Scheme == "http" && !loopback(u.Hostname()) {
			return no("Over plain http everybody on the way could change what is sent.", "Use https://.")
		}
	default:
		return no("This kind of place is not known.", "Choose a folder, SFTP, S3 or REST.")
	}
	return nil
}

func loopback(name string) bool {
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

// repo is the repository of one stream at this place.
func (t Target) repo(stream Stream, password string) restic.Repo {
	r := restic.Repo{Password: password}
	place := strings.TrimSuffix(t.Place, "/") + "/" + string(stream)
	switch t.Kind {
	case Folder:
		r.URL = filepath.Join(t.Place, string(stream))
	case SFTP:
		server, path, _ := strings.Cut(t.Place, "/")
		name, port, err := net.SplitHostPort(server)
		if err != nil {
			name, port = server, "22"
		}
		ssh := "ssh -p " + port + " -o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=20 -o ServerAliveCountMax=3"
		if t.Key != "" {
			ssh += " -o IdentitiesOnly=yes -i " + t.Key
		}
		if t.Known != "" && t.SSHDir != "" {
			file := filepath.Join(t.SSHDir, "known-"+t.ID)
			if err := os.MkdirAll(t.SSHDir, 0o700); err == nil {
				os.WriteFile(file, []byte(t.Known+"\n"), 0o600) // ssh says so, if it is not there
			}
			ssh += " -o StrictHostKeyChecking=yes -o UserKnownHostsFile=" + file
		}
		r.URL = "sftp:" + t.User + "@" + name + ":/" + strings.TrimSuffix(path, "/") + "/" + string(stream)
		r.Options = []string{"sftp.command=" + ssh + " " + t.User + "@" + name + " -s sftp"}
	case S3:
		r.URL = "s3:" + place
		region := t.Region
		if region == "" {
			region = "us-east-1"
		}
		r.Env = []string{"AWS_ACCESS_KEY_ID=" + t.User, "AWS_SECRET_ACCESS_KEY=" + t.Secret, "AWS_DEFAULT_REGION=" + region}
		if u, err := url.Parse(t.Place); err == nil && !strings.HasSuffix(u.Hostname(), "amazonaws.com") {
			r.Options = []string{"s3.bucket-lookup=path"}
		}
	case REST:
		u, err := url.Parse(place + "/")
		if err != nil {
			return r
		}
		if t.User != "" {
			u.User = url.UserPassword(t.User, t.Secret)
		}
		r.URL = "rest:" + u.String()
	}
	return r
}

// Tried is what the test of a place showed.
type Tried struct {
	Expires bool
	Took    time.Duration
	Lock    int    // days for which nothing can be removed from a bucket
	KeysNot string // why no keys go there
}

// Try tests a place for real, with made-up data: it makes the repositories where
// there are none, writes, reads what was written, and removes it. A place that
// lets nothing be removed is taken for the records alone.
func (b *Backup) Try(ctx context.Context, t Target) (tried Tried, err error) {
	if err := t.check(); err != nil {
		return tried, err
	}
	t.SSHDir = b.sshDir()
	began := b.Now()
	engine := b.engine(t)
	if _, err := engine.Version(ctx); err != nil {
		return tried, explain(t, err)
	}
	if err := b.insideHouse(t); err != nil {
		return tried, err
	}
	if err := openOrMake(ctx, engine, t.repo(Records, b.Password())); err != nil {
		return tried, explain(t, err)
	}
	removed, err := b.probe(ctx, engine, t.repo(Records, b.Password()))
	if err != nil {
		return tried, explain(t, err)
	}
	if !removed {
		tried.KeysNot = "Nothing can be removed there."
	} else if t.Kind == S3 {
		if removed, err = askBucket(ctx, t, &tried); err != nil {
			return tried, explain(t, err)
		}
	}
	if removed {
		if err := openOrMake(ctx, engine, t.repo(Wraps, b.Password())); err != nil {
			return tried, explain(t, err)
		}
		if removed, err = b.probe(ctx, engine, t.repo(Wraps, b.Password())); err != nil {
			return tried, explain(t, err)
		}
	}
	tried.Expires, tried.Took = removed, b.Now().Sub(began)
	return tried, nil
}

// askBucket asks what becomes of removed objects: a bucket may say yes and keep
// an old version for ever.
func askBucket(ctx context.Context, t Target, tried *Tried) (gone bool, err error) {
	r, err := bucket.Ask(ctx, t.Place, t.Region, t.User, t.Secret)
	if errors.Is(err, bucket.ErrSilent) {
		tried.KeysNot = "Whether it keeps what is removed is not known: its key may not read the bucket’s rules (versioning, lifecycle)."
		return false, nil
	}
	if err != nil {
		return false, err
	}
	tried.Lock = r.LockDays
	gone, tried.KeysNot = r.KeysGo()
	return gone, nil
}

// insideHouse refuses a folder in the house: what takes the house takes it too.
func (b *Backup) insideHouse(t Target) error {
	if t.Kind != Folder {
		return nil
	}
	rel, err := filepath.Rel(really(b.Dir), really(t.Place))
	if err == nil && filepath.IsLocal(rel) {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: "This folder lies in the house itself: what takes the house takes the backup with it.", Fix: "Choose another disk."}
	}
	return nil
}

// really follows links, as far as a path is there.
func really(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	if up := filepath.Dir(path); up != path {
		return filepath.Join(really(up), filepath.Base(path))
	}
	return path
}

func openOrMake(ctx context.Context, engine restic.Restic, repo restic.Repo) error {
	err := engine.Open(ctx, repo)
	if errors.Is(err, restic.ErrNone) || errors.Is(err, restic.ErrDamaged) {
		return engine.Init(ctx, repo)
	}
	return err
}

func (b *Backup) probe(ctx context.Context, engine restic.Restic, repo restic.Repo) (removed bool, err error) {
	text := rand.Text() + rand.Text()
	saved, err := engine.SaveStream(ctx, repo, "probe", strings.NewReader(text), []string{"probe"})
	if err != nil {
		return false, err
	}
	var back bytes.Buffer
	if err := engine.Dump(ctx, repo, saved.Snapshot, "probe", &back); err != nil {
		return false, err
	}
	if back.String() != text {
		return false, restic.ErrDamaged
	}
	err = engine.Forget(ctx, repo, saved.Snapshot)
	if errors.Is(err, restic.ErrRefused) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	list, err := engine.Snapshots(ctx, repo)
	if err != nil {
		return false, err
	}
	for _, s := range list {
		if strings.HasPrefix(s.ID, saved.Snapshot) {
			return false, nil // it said yes and kept it
		}
	}
	return true, nil
}

// explain puts a failure of a place into words for people.
func explain(t Target, err error) error {
	e := &web.Error{Status: http.StatusBadGateway, Err: err}
	switch {
	case errors.Is(err, restic.ErrMissing):
		e.Text, e.Fix = "The program that makes backups, restic, is not on the server.", "Ask whoever looks after it to run: apt-get install restic"
	case errors.Is(err, restic.ErrOld):
		e.Text, e.Fix = "The restic on the server is too old to rely on.", "Version 0.14 or newer is needed: apt-get install restic"
	case errors.Is(err, restic.ErrPassword):
		e.Text, e.Fix = "Another practice’s backup lies at this place already.", "Choose another folder there. Nothing was changed."
	case errors.Is(err, restic.ErrUnreachable):
		e.Text, e.Fix = "This place did not answer.", "Is it switched on and plugged in, and is its name right?"
	case errors.Is(err, restic.ErrFull):
		e.Text, e.Fix = "This place is full.", "Make room there, or choose another."
	case errors.Is(err, restic.ErrRefused):
		e.Text, e.Fix = "This place does not let us write.", "Look at user, secret and permissions there."
	case errors.Is(err, restic.ErrLocked):
		e.Text, e.Fix = "Something else works on this backup just now.", "Try again in a few minutes."
	case errors.Is(err, restic.ErrDamaged):
		e.Text, e.Fix = "This place did not give back what was written.", "Do not rely on it. Choose another."
	default:
		return fmt.Errorf("%s: %w", t, err)
	}
	return e
}

// plain is the same failure in a few words, for a list.
func plain(err error) string {
	for _, r := range []struct {
		err  error
		said string
	}{
		{restic.ErrMissing, "restic is not installed"}, {restic.ErrOld, "restic is too old"}, {restic.ErrPassword, "the password does not open it"},
		{restic.ErrNone, "there is no backup any more"}, {restic.ErrUnreachable, "it did not answer"}, {restic.ErrFull, "it is full"},
		{restic.ErrRefused, "it does not let us write"}, {restic.ErrLocked, "something else works on it"}, {restic.ErrDamaged, "something is missing or damaged there"},
		{store.ErrFull, "the server’s own disk is full"},
	} {
		if errors.Is(err, r.err) {
			return r.said
		}
	}
	return "it failed; the server’s log says how"
}

func (b *Backup) sshDir() string { return filepath.Join(b.Dir, "run", "ssh") }

// AddTarget tries a place and takes it. An outside place takes real data only
// with somebody's word (see Word); until then it stands in the list, tried.
func (b *Backup) AddTarget(ctx context.Context, t Target) (Target, Tried, error) {
	tried, err := b.Try(ctx, t)
	if err != nil {
		return t, tried, err
	}
	t.Expires, t.Lock, t.KeysNot, t.ID, t.Added = tried.Expires, tried.Lock, tried.KeysNot, string(id.New[id.Record]()), b.Now()
	err = b.DB.Update(ctx, func(tx *store.Tx) error {
		if err := b.writeTarget(ctx, tx, t); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: b.Now(), Actor: id.From(ctx), Kind: "backup.target-added", Subject: t.ID})
	})
	return t, tried, err
}

func (b *Backup) writeTarget(ctx context.Context, tx *store.Tx, t Target) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO backup_targets (target, added, box) VALUES ($1, $2, $3) ON CONFLICT (target) DO UPDATE SET box = excluded.box`,
		t.ID, t.Added.UnixMilli(), b.Secret.Seal(text, b.targetSlot(t.ID)))
	return err
}

// RemoveTarget forgets a place. What lies there stays there: its keys expire no more.
func (b *Backup) RemoveTarget(ctx context.Context, target string) error {
	t, err := b.Target(ctx, target)
	if err != nil {
		return err
	}
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		if err := b.warn(ctx, tx, t.Name+" gets no backups any more. What lies there stays there."); err != nil {
			return err
		}
		for _, q := range []string{`DELETE FROM backup_targets WHERE target = $1`, `DELETE FROM backup_failed WHERE target = $1`, `DELETE FROM backup_saved WHERE target = $1`} {
			if _, err := tx.ExecContext(ctx, q, target); err != nil {
				return fmt.Errorf("remove target: %w", err)
			}
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: b.Now(), Actor: id.From(ctx), Kind: "backup.target-removed", Subject: target})
	})
}

// Promise records somebody's word for an outside place.
func (b *Backup) Promise(ctx context.Context, target string, w Word) error {
	t, err := b.Target(ctx, target)
	if err != nil {
		return err
	}
	if (w.Agreement == "" || w.Contact == "") && w.Because == "" {
		return &web.Error{Status: http.StatusUnprocessableEntity, Text: "Either the day of the agreement and a contact, or the reason why it is no business associate.", Fix: "Fill in one of the two.", Back: "/backups"}
	}
	w.At = b.Now()
	t.Word = &w
	return b.DB.Update(ctx, func(tx *store.Tx) error {
		if err := b.writeTarget(ctx, tx, t); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: b.Now(), Actor: id.From(ctx), Kind: "backup.agreement-recorded", Subject: target})
	})
}

func (b *Backup) targetSlot(target string) seal.Slot {
	return seal.Slot{Kind: "backup-target", Practice: b.Practice, Record: target}
}

// errNoTarget means that there is no such place.
var errNoTarget = &web.Error{Status: http.StatusNotFound, Text: "There is no such place in the list.", Back: "/backups"}

// Target returns one place.
func (b *Backup) Target(ctx context.Context, target string) (Target, error) {
	all, err := b.Targets(ctx)
	for _, t := range all {
		if t.ID == target {
			return t, nil
		}
	}
	if err == nil {
		err = errNoTarget
	}
	return Target{}, err
}

// Targets are all places, in the order in which they came.
func (b *Backup) Targets(ctx context.Context) ([]Target, error) {
	rows, err := b.DB.QueryContext(ctx, `SELECT target, added, box FROM backup_targets ORDER BY added, target`)
	if err != nil {
		return nil, fmt.Errorf("read backup targets: %w", err)
	}
	defer rows.Close()
	var list []Target
	for rows.Next() {
		var t Target
		var added int64
		var box []byte
		if err := rows.Scan(&t.ID, &added, &box); err != nil {
			return nil, fmt.Errorf("read backup targets: %w", err)
		}
		text, err := b.Secret.Open(box, b.targetSlot(t.ID))
		if err == nil {
			err = json.Unmarshal(text, &t)
		}
		if err != nil {
			return nil, fmt.Errorf("read backup target %s: it was changed from outside: %w", t.ID, err)
		}
		t.Added, t.SSHDir = time.UnixMilli(added), b.sshDir()
		list = append(list, t)
	}
	return list, rows.Err()
}

// takes tells whether a place gets this house's data.
func (b *Backup) takes(t Target) bool { return b.MadeUp || !t.Outside || t.Word != nil }

// Sheet is the recovery sheet as it stands.
func (b *Backup) Sheet(ctx context.Context) (Sheet, error) {
	targets, err := b.Targets(ctx)
	return Sheet{b.Practice, b.Root(), b.Password(), targets}, err
}
