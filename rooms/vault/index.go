package vault

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"quietroom/ground/id"
	"quietroom/ground/store"
)

// Whether a patient is here already is answered by keyed tags of outside
// identifiers: HMAC-like, under the directory team's key, so that a stolen
// database does not tell who is treated here, and nobody asks unless signed in.

// tag returns the tag of a name, and what proves that it belongs to a patient.
func (v *Vault) tag(ctx context.Context, all teams, epoch uint64, name string) (tag []byte, proof func(id.Patient) []byte, err error) {
	key, _, err := v.directoryKey(ctx, all, epoch)
	if err != nil {
		return nil, nil, err
	}
	t := key.Derive("index v1", name)
	return t[:], func(p id.Patient) []byte {
		k := key.Derive("index proof v1", name, string(p))
		return k[:]
	}, nil
}

// Find returns the patient who was tagged with an outside name, or ErrUnknown.
func (v *Vault) Find(ctx context.Context, name string) (p id.Patient, err error) {
	all, err := v.teams(ctx)
	if err != nil {
		return "", err
	}
	dir, err := all.kind("directory")
	if err != nil {
		return "", err
	}
	for epoch := dir.Epoch; epoch > 0; epoch-- { // tags are made under the key of their day
		tag, proof, err := v.tag(ctx, all, epoch, name)
		if errors.Is(err, ErrNotYours) && epoch < dir.Epoch {
			break
		}
		if err != nil {
			return "", err
		}
		var kept []byte
		err = v.DB.QueryRowContext(ctx, `SELECT patient, proof FROM vault_index WHERE tag = $1`, tag).Scan(&p, &kept)
		if err == nil && !bytes.Equal(kept, proof(p)) {
			return "", fmt.Errorf("%w: a tag was turned to patient %s", ErrChanged, p)
		}
		if err == nil || !errors.Is(err, sql.ErrNoRows) {
			return p, err
		}
	}
	return "", ErrUnknown
}

// Tag lets Find find the patient by an outside name from now on. Two writers
// who tag the same name meet in ErrConflict.
func (b *Batch) Tag(ctx context.Context, p id.Patient, name string) error {
	tag, proof, err := b.v.tag(ctx, b.teams, 0, name)
	if err != nil {
		return err
	}
	b.writes = append(b.writes, func(ctx context.Context, tx *store.Tx) error {
		var taken bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM vault_index WHERE tag = $1)`, tag).Scan(&taken); err != nil {
			return err
		}
		if taken {
			return ErrConflict
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO vault_index (tag, patient, proof) VALUES ($1, $2, $3)`, tag, p, proof(p))
		return err
	})
	return nil
}

// Patients yields the identifiers of all patients, in no order that says anything.
func (v *Vault) Patients(ctx context.Context) iter.Seq2[id.Patient, error] {
	return func(yield func(id.Patient, error) bool) {
		for after, more := id.Patient(""), true; more; {
			var page []id.Patient
			page, err := v.patientsAfter(ctx, after, 1000)
			if err != nil {
				yield("", err)
				return
			}
			for _, p := range page {
				if !yield(p, nil) {
					return
				}
				after = p
			}
			more = len(page) == 1000
		}
	}
}

func (v *Vault) patientsAfter(ctx context.Context, after id.Patient, limit int) ([]id.Patient, error) {
	rows, err := v.DB.QueryContext(ctx, `SELECT patient FROM vault_patients WHERE patient > $1 ORDER BY patient LIMIT $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list patients: %w", err)
	}
	defer rows.Close()
	var page []id.Patient
	for rows.Next() {
		var p id.Patient
		if err := rows.Scan(&p); err != nil {
			return nil, fmt.Errorf("list patients: %w", err)
		}
		page = append(page, p)
	}
	return page, rows.Err()
}

// House is the subject of what is about the practice and no patient: resources
// that an import brings along, kept in the compartment Shared.
func (v *Vault) House() id.Patient { return id.Patient(v.Practice) }

// Count returns how many patients there are.
func (v *Vault) Count(ctx context.Context) (n int, err error) {
	err = v.DB.QueryRowContext(ctx, `SELECT count(*) FROM vault_patients`).Scan(&n)
	return n, err
}
