package training

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
	"quietroom/ground/store"
)

// settings are what the owner chose, as sealed in the database.
type settings struct {
	Zone    string    `json:"zone"`              // IANA
	Onboard int       `json:"onboard"`           // days until the first lessons are done
	Phish   bool      `json:"phish,omitempty"`   // practice messages are on
	Begun   time.Time `json:"begun,omitzero"`    // since when
	By      id.Person `json:"by,omitempty"`      // by whom
	Address string    `json:"address,omitempty"` // another name of this house for links: https://files.example.org
	Paused  string    `json:"paused,omitempty"`  // why messages are held back by themselves: "refused"
	Reports reports   `json:"reports,omitzero"`
}

// reports say where a report address is read.
type reports struct {
	Address  string `json:"address,omitempty"` // report@practice.example
	Listen   string `json:"listen,omitempty"`  // received directly: ":2525"
	IMAP     string `json:"imap,omitempty"`    // or read there: host:port
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	Plain    bool   `json:"plain,omitempty"` // without TLS, to this machine only

	More []another `json:"more,omitempty"` // mailboxes there that the house may clean too
}

type another struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

func (settings) String() string { return "[settings of training]" }

const defaultZone = "America/New_York"

func (t *Training) settings(ctx context.Context) (s settings, err error) {
	s = settings{Zone: defaultZone, Onboard: 14}
	var box []byte
	err = t.DB.QueryRowContext(ctx, `SELECT box FROM training_settings`).Scan(&box)
	if errors.Is(err, sql.ErrNoRows) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read settings of training: %w", err)
	}
	plain, err := t.Key.Open(box, t.slot("training-settings", ""))
	if err != nil {
		return s, fmt.Errorf("read settings of training: %w", err)
	}
	return s, json.Unmarshal(plain, &s)
}

func (t *Training) keep(ctx context.Context, s settings, facts ...ledger.Fact) error {
	plain, err := json.Marshal(s)
	if err != nil {
		return err
	}
	box := t.Key.Seal(plain, t.slot("training-settings", ""))
	return t.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO training_settings (one, box) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET box = excluded.box`, box)
		if err != nil {
			return fmt.Errorf("keep settings of training: %w", err)
		}
		for _, f := range facts {
			f.At, f.Actor = t.Now(), id.From(ctx)
			if err := ledger.Append(ctx, tx, f); err != nil {
				return err
			}
		}
		return nil
	})
}
