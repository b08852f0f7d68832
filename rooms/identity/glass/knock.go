package glass

import (
	"context"
	"iter"
	"slices"

	"quietroom/ground/id"
	"quietroom/layer"
)

// Kinds of doors, as knock names them.
const (
	doorHalf  = "half"  // half A is sealed to the person, who may use it
	doorChart = "chart" // a chart that the person broke open, and that is open still
)

// knock asks the doors of a person; see layer.Knock.
func (g *Glass) knock(ctx context.Context, p id.Person, known []layer.Door) iter.Seq2[layer.Door, error] {
	return func(yield func(layer.Door, error) bool) {
		found, err := g.doorsTo(ctx, p)
		if err != nil {
			yield(layer.Door{}, err)
			return
		}
		asked := map[string]bool{}
		for _, d := range append(slices.Clone(known), found...) {
			if d.Room != "glass" || asked[d.Kind+d.Key] {
				continue
			}
			asked[d.Kind+d.Key] = true
			d.Open, err = g.accepts(ctx, p, d)
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// doorsTo lists what the room knows of a person's doors now.
func (g *Glass) doorsTo(ctx context.Context, p id.Person) (doors []layer.Door, err error) {
	rows, err := g.DB.QueryContext(ctx, `SELECT '`+doorHalf+`', making FROM glass_halves WHERE person = $1
		UNION ALL SELECT '`+doorChart+`', break FROM glass_breaks WHERE person = $1 AND ended = 0 AND ends > $2`, p, g.Now().UnixMilli())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		d := layer.Door{Room: "glass", Name: "Breaking the glass"}
		if err := rows.Scan(&d.Kind, &d.Key); err != nil {
			return nil, err
		}
		doors = append(doors, d)
	}
	return doors, rows.Err()
}

// accepts tells whether a door would let the person in now.
func (g *Glass) accepts(ctx context.Context, p id.Person, d layer.Door) (open bool, err error) {
	roster, err := g.Identity.Roster(ctx)
	if err != nil {
		return false, err
	}
	who, _ := roster.Person(string(p))
	query := `SELECT EXISTS (SELECT 1 FROM glass_halves h, glass_making m WHERE h.person = $1 AND h.making = $2 AND m.making = h.making AND CAST($3 AS BIGINT) > 0)`
	if d.Kind == doorChart {
		query = `SELECT EXISTS (SELECT 1 FROM glass_breaks WHERE person = $1 AND break = $2 AND ended = 0 AND ends > $3)`
	}
	err = g.DB.QueryRowContext(ctx, query, p, d.Key, g.Now().UnixMilli()).Scan(&open)
	return open && mayBreak(who), err
}
