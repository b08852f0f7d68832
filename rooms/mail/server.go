package mail

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
	"quietroom/rooms/mail/smtp"
)

// settings are where mail goes out, as sealed in the database.
type settings struct {
	Host     string        `json:"host"`
	Port     int           `json:"port"`
	Security smtp.Security `json:"security"`
	Sender   string        `json:"sender"`
	User     string        `json:"user,omitempty"`
	Password string        `json:"password,omitempty"`
	Pace     int           `json:"pace,omitempty"`   // messages a minute to one provider; 0: no limit
	Number   string        `json:"number,omitempty"` // of a proposal's test message, once it was handed over
	Test     string        `json:"test,omitempty"`   // where that went
}

func (s settings) server(m *Mail) smtp.Server {
	_, domain, _ := strings.Cut(s.Sender, "@")
	return smtp.Server{Host: s.Host, Port: s.Port, Security: s.Security, Hello: domain, User: s.User, Password: s.Password, Roots: m.Roots, Patience: m.patience}
}

// LogValue keeps a password out of logs, whoever prints settings.
func (settings) String() string { return "[settings of a mail server]" }

// standing is the accepted server, and how it is.
type standing struct {
	settings
	By      id.Person
	At      time.Time
	Seen    time.Time
	Secured string
	Failing time.Time // zero: it lets us in
	Why     smtp.Why
	Code    string
	Tries   int
	Retry   time.Time
}

// errNoServer means that mail is not set up.
var errNoServer = errors.New("mail: no server is set")

func (m *Mail) server(ctx context.Context) (s standing, err error) {
	var box []byte
	var at, seen, failing, retry int64
	err = m.DB.QueryRowContext(ctx, `SELECT box, person, at, seen, secured, failing, why, code, tries, retry FROM mail_server`).
		Scan(&box, &s.By, &at, &seen, &s.Secured, &failing, &s.Why, &s.Code, &s.Tries, &retry)
	if errors.Is(err, sql.ErrNoRows) {
		return s, errNoServer
	}
	if err != nil {
		return s, fmt.Errorf("read the mail server: %w", err)
	}
	s.At, s.Seen, s.Failing, s.Retry = moment(at), moment(seen), moment(failing), moment(retry)
	return s, m.open("mail-server", "", box, &s.settings)
}

// letIn keeps that the server took us in.
func (m *Mail) letIn(ctx context.Context, secured string) error {
	return m.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE mail_server SET seen = $1, secured = $2, failing = 0, why = '', code = '', tries = 0, retry = 0`, m.Now().UnixMilli(), secured)
		if err != nil {
			return fmt.Errorf("keep how the mail server is: %w", err)
		}
		return nil
	})
}

// keptOut keeps that it did not, and leaves it alone for a while.
func (m *Mail) keptOut(ctx context.Context, failed *smtp.Error) (retry time.Time, err error) {
	now := m.Now()
	err = m.DB.Update(ctx, func(tx *store.Tx) error {
		var tries int
		if err := tx.QueryRowContext(ctx, `SELECT tries FROM mail_server`).Scan(&tries); err != nil {
			return fmt.Errorf("keep how the mail server is: %w", err)
		}
		retry = now.Add(after(forServers, tries+1, ""))
		_, err := tx.ExecContext(ctx, `UPDATE mail_server SET failing = CASE WHEN failing = 0 THEN $1 ELSE failing END, why = $2, code = $3, tries = tries + 1, retry = $4`,
			now.UnixMilli(), string(failed.Why), numbers(failed), retry.UnixMilli())
		if err != nil {
			return fmt.Errorf("keep how the mail server is: %w", err)
		}
		return nil
	})
	return retry, err
}

// numbers are the server's answer without its words: "550 5.1.1".
func numbers(e *smtp.Error) string {
	if e.Code == 0 {
		return ""
	}
	return strings.TrimSpace(fmt.Sprint(e.Code, " ", e.Status))
}

// soon forgets how long the server was to be left alone.
func (m *Mail) soon(ctx context.Context) error {
	err := m.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE mail_server SET retry = 0`)
		return err
	})
	if err != nil {
		return fmt.Errorf("try the mail server now: %w", err)
	}
	m.wake()
	return nil
}

// A proposal is a server whose test message nobody has confirmed yet.
const (
	proposalLasts = time.Hour
	mostNumbers   = 5
)

func (m *Mail) propose(ctx context.Context, s settings) error {
	box, err := m.seal("mail-proposal", "", s)
	if err != nil {
		return err
	}
	return m.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM mail_proposal`); err != nil {
			return fmt.Errorf("keep a proposal: %w", err)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO mail_proposal (one, box, person, at, tries) VALUES (1, $1, $2, $3, 0)`, box, string(id.From(ctx).Person), m.Now().UnixMilli())
		if err != nil {
			return fmt.Errorf("keep a proposal: %w", err)
		}
		return nil
	})
}

// errNoProposal means that nothing is being set up, or not any more.
var errNoProposal = errors.New("mail: no server is proposed")

func (m *Mail) proposal(ctx context.Context) (s settings, tries int, err error) {
	var box []byte
	var at int64
	err = m.DB.QueryRowContext(ctx, `SELECT box, at, tries FROM mail_proposal`).Scan(&box, &at, &tries)
	if errors.Is(err, sql.ErrNoRows) || err == nil && m.Now().After(moment(at).Add(proposalLasts)) {
		return s, 0, errNoProposal
	}
	if err != nil {
		return s, 0, fmt.Errorf("read the proposal: %w", err)
	}
	return s, tries, m.open("mail-proposal", "", box, &s)
}

// errNumber means that another number stood in the test message.
var errNumber = errors.New("mail: not the number of the test message")

// accept makes the proposed server the one that is used, if the number is that of
// its test message.
func (m *Mail) accept(ctx context.Context, number string) error {
	s, tries, err := m.proposal(ctx)
	if err != nil {
		return err
	}
	right := s.Number != "" && tries < mostNumbers && subtle.ConstantTimeCompare([]byte(number), []byte(s.Number)) == 1
	s.Number, s.Test = "", ""
	box, err := m.seal("mail-server", "", s)
	if err != nil {
		return err
	}
	actor, now := id.From(ctx), m.Now()
	err = m.DB.Update(ctx, func(tx *store.Tx) error {
		if !right {
			_, err := tx.ExecContext(ctx, `UPDATE mail_proposal SET tries = tries + 1`)
			return err
		}
		for _, old := range []string{`DELETE FROM mail_proposal`, `DELETE FROM mail_server`} {
			if _, err := tx.ExecContext(ctx, old); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO mail_server (one, box, at, person, seen, secured) VALUES (1, $1, $2, $3, $2, '')`, box, now.UnixMilli(), string(actor.Person)); err != nil {
			return err
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: actor, Kind: "mail.server-set"})
	})
	switch {
	case err != nil:
		return fmt.Errorf("accept the mail server: %w", err)
	case !right && tries+1 >= mostNumbers:
		return errNoProposal
	case !right:
		return errNumber
	}
	m.wake()
	return nil
}

// stop forgets the server and its password. What is queued waits.
func (m *Mail) stop(ctx context.Context) error {
	actor, now := id.From(ctx), m.Now()
	return m.DB.Update(ctx, func(tx *store.Tx) error {
		for _, old := range []string{`DELETE FROM mail_proposal`, `DELETE FROM mail_server`} {
			if _, err := tx.ExecContext(ctx, old); err != nil {
				return fmt.Errorf("forget the mail server: %w", err)
			}
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: actor, Kind: "mail.server-removed"})
	})
}

// try hands a test message to a server and proposes it. Its number proves to
// us that it arrived; it opens nothing.
func (m *Mail) try(ctx context.Context, s settings) error {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return err
	}
	number := fmt.Sprintf("%06d", n)
	if err := m.propose(ctx, s); err != nil { // so that a form need not be typed again
		return err
	}
	text := "This is the test message of Quietroom’s mail. Its number is " + number + ".\n\nType the number into the page that is open in front of you. It shows that messages arrive; it opens nothing."
	message, err := compose(letter{To: s.Test, Subject: "Test message", Text: text}, string(id.New[id.Record]()), s.Sender, m.Origin, m.Now())
	if err != nil {
		return err
	}
	server := s.server(m)
	server.Patience = cmp.Or(m.patience, 20*time.Second)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, err := server.Open(ctx)
	if err != nil {
		return err
	}
	if err := conn.Send(ctx, s.Sender, s.Test, message); err != nil {
		conn.Close()
		return err
	}
	conn.Close()
	s.Number = number
	return m.propose(ctx, s)
}

// agreement is what the practice has agreed with whoever carries its mail: a
// person's word. Without it nothing about a patient may ever go that way.
type agreement struct {
	Host    string    `json:"host"` // of the server it is about
	With    string    `json:"with"`
	Contact string    `json:"contact"`
	Date    string    `json:"date"`              // of the agreement: 2026-11-25
	Because string    `json:"because,omitempty"` // instead: why none is needed
	By      id.Person `json:"-"`
	At      time.Time `json:"-"`
}

func (m *Mail) agree(ctx context.Context, a agreement) error {
	number, actor, now := string(id.New[id.Record]()), id.From(ctx), m.Now()
	box, err := m.seal("mail-agreement", number, a)
	if err != nil {
		return err
	}
	return m.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO mail_agreements (agreement, box, person, at) VALUES ($1, $2, $3, $4)`, number, box, string(actor.Person), now.UnixMilli())
		if err != nil {
			return fmt.Errorf("keep an agreement: %w", err)
		}
		return ledger.Append(ctx, tx, ledger.Fact{At: now, Actor: actor, Kind: "mail.agreement-stated", Ref: number})
	})
}

// agreed returns the newest statement about this server; ok is false if there is none.
func (m *Mail) agreed(ctx context.Context, host string) (a agreement, ok bool, err error) {
	var number string
	var box []byte
	var at int64
	err = m.DB.QueryRowContext(ctx, `SELECT agreement, box, person, at FROM mail_agreements ORDER BY at DESC, agreement LIMIT 1`).Scan(&number, &box, &a.By, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return a, false, nil
	}
	if err != nil {
		return a, false, fmt.Errorf("read the agreement: %w", err)
	}
	a.At = moment(at)
	if err := m.open("mail-agreement", number, box, &a); err != nil {
		return a, false, err
	}
	return a, strings.EqualFold(a.Host, host), nil
}
