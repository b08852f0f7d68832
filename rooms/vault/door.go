package vault

import (
	"context"
	"io"

	"quietroom/ground/id"
	"quietroom/layer"
)

// Door is the vault as other rooms see it, in the words that rooms share. It
// adds nothing and leaves nothing out.
type Door struct{ *Vault }

// Open is Vault.Open.
func (d Door) Open(ctx context.Context, p id.Patient, part string) (layer.Compartment, error) {
	c, err := d.Vault.Open(ctx, p, part)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// OpenEmergency is Vault.OpenEmergency.
func (d Door) OpenEmergency(ctx context.Context, p id.Patient, part string) (layer.Compartment, error) {
	c, err := d.Vault.OpenEmergency(ctx, p, part)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Begin is Vault.Begin.
func (d Door) Begin(ctx context.Context) (layer.Batch, error) {
	b, err := d.Vault.Begin(ctx)
	if err != nil {
		return nil, err
	}
	return act{b}, nil
}

// act is a Batch for other rooms. A compartment that they hand in is one that
// they got from In.
type act struct{ *Batch }

func (a act) In(ctx context.Context, p id.Patient, part string) (layer.Compartment, error) {
	c, err := a.Batch.In(ctx, p, part)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (a act) SetCard(ctx context.Context, c layer.Compartment, card layer.Card, version uint64) error {
	return a.Batch.SetCard(ctx, c.(*Compartment), card, version)
}

func (a act) Put(ctx context.Context, c layer.Compartment, d layer.Draft) (id.Record, error) {
	return a.Batch.Put(ctx, c.(*Compartment), d)
}

func (a act) PutStream(ctx context.Context, c layer.Compartment, d layer.Draft, body io.Reader) (id.Record, error) {
	return a.Batch.PutStream(ctx, c.(*Compartment), d, body)
}
