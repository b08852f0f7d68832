package main

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"quietroom/ground/id"
	"quietroom/ground/seal"
)

// outboxFile holds the key of outgoing mail. It lies in the clear beside the
// database, and in no backup: a declared leak, see docs/security.md.
const outboxFile = "outbox.key"

// readOutboxKey reads the key of outgoing mail, and makes it where there is none:
// what was queued under a lost one is dropped after five days.
func readOutboxKey(dir string) (k seal.Key, err error) {
	text, err := os.ReadFile(filepath.Join(dir, outboxFile))
	if errors.Is(err, fs.ErrNotExist) {
		k = seal.NewKey()
		return k, writeFile(dir, outboxFile, []byte(hex.EncodeToString(k[:])+"\n"))
	}
	if err != nil {
		return k, err
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err == nil {
		k, err = seal.KeyFrom(b)
	}
	if err != nil { // whose words are not told: they may hold the key
		return k, fmt.Errorf("%s cannot be read; remove it, and type the mail server's password again", filepath.Join(dir, outboxFile))
	}
	return k, nil
}

// mailboxes tells mail where people read, and the sign-in watch whose mailbox an
// address is: from what people gave when they joined.
type mailboxes struct{ *house }

func split(mail string) []string {
	return strings.FieldsFunc(mail, func(r rune) bool { return r == ',' || r == ';' || r == ' ' })
}

func (m mailboxes) Addresses(ctx context.Context, p id.Person) ([]string, error) {
	var mail string
	err := m.db.QueryRowContext(ctx, `SELECT mail FROM identity_people WHERE person = $1`, string(p)).Scan(&mail)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil // not kept yet: the notice waits
	}
	return split(mail), err
}

func (m mailboxes) Mailbox(ctx context.Context, address string) (whose id.Person, err error) {
	rows, err := m.db.QueryContext(ctx, `SELECT person, mail FROM identity_people ORDER BY joined, person`)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	for rows.Next() {
		var p id.Person
		var mail string
		if err := rows.Scan(&p, &mail); err != nil {
			return "", err
		}
		for _, a := range split(mail) {
			if strings.EqualFold(a, address) {
				whose = p
			}
		}
	}
	return whose, rows.Err()
}
