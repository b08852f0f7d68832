package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/seal"
	"quietroom/ground/store"
	"quietroom/rooms/mail"
	"quietroom/rooms/training"
)

// newTraining makes the room training. Its own lessons lie in the folder
// "lessons" of the house's directory.
func (h *house) newTraining(key seal.Key) *training.Training {
	return training.New(training.Config{DB: h.db, Ledger: h.ledger, Now: h.now, Practice: h.ID, Key: key, Origin: h.Origin, MadeUp: h.MadeUp != nil,
		PracticeName: h.practiceName, People: staff{h}, Notices: h.mail, Post: post{h.mail}, Scanner: suspects{h.antivirus}, Own: os.DirFS(filepath.Join(h.dir, "lessons")), Log: h.log})
}

// staff tells training who works here now: of the signed list, with the addresses
// and days that identity keeps.
type staff struct{ *house }

func (s staff) People(ctx context.Context) ([]training.Person, error) {
	if !s.identity.Founded() {
		return nil, nil
	}
	roster, err := s.identity.Roster(ctx)
	if err != nil {
		return nil, err
	}
	joined := map[string]int64{}
	mails := map[string]string{}
	rows, err := s.db.QueryContext(ctx, `SELECT person, mail, joined FROM identity_people`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var person, address string
		var at int64
		if err := rows.Scan(&person, &address, &at); err != nil {
			return nil, err
		}
		mails[person], joined[person] = address, at
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	var all []training.Person
	for _, name := range roster.People() {
		p, ok := roster.Person(name)
		if !ok || p.Gone {
			continue
		}
		all = append(all, training.Person{ID: id.Person(name), Name: p.Name, Addresses: split(mails[name]), Roles: p.Roles, Joined: time.UnixMilli(joined[name])})
	}
	return all, nil
}

// post hands practice messages to the practice's mail.
type post struct{ *mail.Mail }

func (p post) Post(ctx context.Context, tx *store.Tx, m training.Message) (string, error) {
	letter, err := p.Mail.Post(ctx, tx, mail.Practice{To: m.To, Address: m.Address, From: m.From, Subject: m.Subject, Text: m.Text, HTML: m.HTML, Mark: m.Marker})
	if errors.Is(err, mail.ErrUnsent) {
		return "", training.ErrUnsent
	}
	return letter, err
}
