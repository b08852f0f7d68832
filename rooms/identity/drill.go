package identity

import "quietroom/layer"

func (i *Identity) pushSpam() layer.Drill { return layer.Drill{Name: "push-spam"} }
