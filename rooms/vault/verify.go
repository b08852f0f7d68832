package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"quietroom/ground/id"
	"quietroom/ground/ledger"
)

// Verified is what Verify looked at.
type Verified struct {
	Patients int    `json:"patients"`
	Records  int    `json:"records"`
	Finding  string `json:"finding,omitempty"` // the first that does not hold; empty if all holds
}

// Verify compares every stored record with the ledger, without keys: that each
// patient who was admitted is there and nobody else, and that each record is the
// latest that was written, whole, and none is missing. It says nothing of the
// ledger itself: see ledger.Verify.
func (v *Vault) Verify(ctx context.Context, step func(done, total int)) (r Verified, err error) {
	admitted := map[id.Patient]bool{}
	for e, err := range v.Ledger.Facts(ctx, ledger.Query{Kinds: []string{"vault.admitted", erased}}) {
		if err != nil {
			return r, err
		}
		if admitted[id.Patient(e.Subject)] = true; e.Kind == erased {
			delete(admitted, id.Patient(e.Subject))
		}
	}
	total := len(admitted)
	for p, err := range v.Patients(ctx) {
		if err != nil {
			return r, err
		}
		if !admitted[p] {
			if known, err := v.admittedSince(ctx, p); err != nil || !known {
				r.Finding = fmt.Sprintf("patient %s stands in the list and was never admitted", p)
				return r, err
			}
		}
		delete(admitted, p)
		if err := v.verifyPatient(ctx, p, &r); err != nil || r.Finding != "" {
			return r, err
		}
		r.Patients++
		step(r.Patients, total)
	}
	for p := range admitted {
		r.Finding = fmt.Sprintf("patient %s was admitted and is gone from the list", p)
		return r, nil
	}
	return r, v.verifyPatient(ctx, v.House(), &r)
}

// admittedSince tells whether a patient was admitted while Verify ran.
func (v *Vault) admittedSince(ctx context.Context, p id.Patient) (bool, error) {
	for _, err := range v.Ledger.Facts(ctx, ledger.Query{Subject: string(p), Kinds: []string{"vault.admitted"}, Limit: 1}) {
		return err == nil, err
	}
	return false, nil
}

// verifyPatient compares one patient's records with the ledger. Rows and facts
// are read one after the other; what differs only because somebody wrote in
// between does not differ the next time.
func (v *Vault) verifyPatient(ctx context.Context, p id.Patient, r *Verified) error {
	for try := range 3 {
		before, err := v.Ledger.WrittenAnew(ctx, string(p))
		if err != nil {
			return err
		}
		rows, err := v.rowsOf(ctx, p)
		if err != nil {
			return err
		}
		if r.Finding = differs(p, before, rows); r.Finding == "" {
			r.Records += len(rows)
			return nil
		}
		time.Sleep(time.Duration(try) * 20 * time.Millisecond)
	}
	return nil
}

// differs names the first record that is not as the ledger knows it.
func differs(p id.Patient, written map[string]ledger.Write, rows map[string]row) string {
	for name, w := range written {
		r, ok := rows[name]
		switch {
		case strings.HasPrefix(name, "key."), w.Removed():
		case !ok:
			return fmt.Sprintf("record %s of patient %s is gone", name, p)
		case uint64(w.Version) != r.Version, !bytes.Equal(w.Hash, r.hash()):
			return fmt.Sprintf("record %s of patient %s is not the one that was written", name, p)
		}
	}
	for name := range rows {
		if _, ok := written[name]; !ok {
			return fmt.Sprintf("record %s of patient %s was never written", name, p)
		}
	}
	return ""
}

// rowsOf reads all records of a patient, by their names in the ledger. sum is
// computed anew, so that the sealed body counts, and not what stands beside it.
func (v *Vault) rowsOf(ctx context.Context, p id.Patient) (map[string]row, error) {
	found, err := v.DB.QueryContext(ctx, `SELECT record, part, version, keyed, at, head, box, blob, size FROM vault_records WHERE patient = $1`, p)
	if err != nil {
		return nil, fmt.Errorf("read records of patient %s: %w", p, err)
	}
	defer found.Close()
	rows := map[string]row{}
	for found.Next() {
		var r row
		var part string
		var at int64
		if err := found.Scan(&r.Record, &part, &r.Version, &r.keyed, &at, &r.head, &r.box, &r.blob, &r.Size); err != nil {
			return nil, fmt.Errorf("read records of patient %s: %w", p, err)
		}
		sum := sha256.Sum256(r.box)
		r.At, r.sum = time.UnixMilli(at), sum[:]
		rows[recordName(part, r.Record)] = r
	}
	return rows, found.Err()
}
