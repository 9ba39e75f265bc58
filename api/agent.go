package api

import (
	"time"

	"plimsoll"
)

// Limits of what an agent may send; the console refuses more with status 413.
const (
	MaxSync        = 16 << 20  // bytes of a sync, uncompressed
	MaxResult      = 192 << 20 // bytes of a result, uncompressed
	MaxFacts       = 64 << 20  // bytes of one layer's facts, as sent
	MaxSyncImages  = 20_000    // images of one host
	MaxNames       = 500       // names of one image on one host
	MaxContainers  = 20_000    // containers of one host
	MaxImageLayers = 256
	MaxPackages    = 250_000
)

// Limits of the texts of an inventory, in bytes; the console refuses more with
// status 400. Longer names would not fit an index of its database.
const (
	MaxName      = 1024 // also versions, suppliers, origins
	MaxArch      = 300
	MaxPURL      = 2000
	MaxPath      = 4096 // also licences, locations, remarks
	MaxLicenses  = 1000
	MaxLocations = 10_000
)

// Headers of the agent protocol.
const (
	HeaderVersion = "Plimsoll-Protocol"
	// HeaderReport identifies a report; a console applies each once.
	HeaderReport = "Plimsoll-Report"
)

// Enrol joins a host.
type Enrol struct {
	Token     string    `json:"token" maxLength:"300" writeOnly:"true"` // "plim1.<id>.<secret>.<SHA-256 of the CA's key>"
	CSR       []byte    `json:"csr" maxLength:"16384" doc:"certificate request, DER"`
	Host      HostFacts `json:"host"`
	MachineID string    `json:"machineID" maxLength:"128" doc:"hash of the machine's ID"`
}

// Enrolled is the identity of a host.
type Enrolled struct {
	HostID      int64     `json:"hostID"`
	Certificate []byte    `json:"certificate" doc:"DER"`
	CA          []byte    `json:"ca" doc:"DER"`
	Renew       time.Time `json:"renew" doc:"when to ask for the next one"`
}

// Renew asks for a new certificate with the current one.
type Renew struct {
	CSR []byte `json:"csr" maxLength:"16384"`
}

// HostFacts is what an agent says of its host.
type HostFacts struct {
	Name         string   `json:"name" maxLength:"255"`
	OS           string   `json:"os,omitempty" maxLength:"200"`
	Kernel       string   `json:"kernel,omitempty" maxLength:"200"`
	Arch         string   `json:"arch,omitempty" maxLength:"40"`
	Addresses    []string `json:"addresses,omitempty" maxItems:"64"`
	AgentVersion string   `json:"agentVersion,omitempty" maxLength:"100"`
	// Analyzers is the agent's analyser set: facts and inventories of another
	// set are read again.
	Analyzers string `json:"analyzers,omitempty" maxLength:"8192"`
}

// Heartbeat says that an agent is alive.
type Heartbeat struct {
	Now       time.Time `json:"now" doc:"the agent's clock"`
	MachineID string    `json:"machineID" maxLength:"128"`
	Boot      string    `json:"boot,omitempty" maxLength:"64" doc:"random for each start of the agent"`
	Spooled   int       `json:"spooled,omitempty"`
	Dropped   int64     `json:"dropped,omitempty"`
	Scanning  int       `json:"scanning,omitempty"`
}

// HeartbeatAnswer tells the agent its settings.
type HeartbeatAnswer struct {
	Settings AgentSettings `json:"settings"`
}

// AgentSettings are the fleet's settings for agents.
type AgentSettings struct {
	SyncHours   int `json:"syncHours"`
	Concurrency int `json:"concurrency"`
	ScanTimeout int `json:"scanTimeout"`
	MemoryMB    int `json:"memoryMB"`
	CPUPercent  int `json:"cpuPercent"`
}

// Sync is the list of a host's images, or what changed in it. Full: Known holds
// every image of the host; what it lacks is gone. Otherwise Gone names what went.
type Sync struct {
	Full bool      `json:"full"`
	At   time.Time `json:"at"`
	Host HostFacts `json:"host"`
	// Seq grows with each sync of an agent's state directory; an older one than
	// the console has applied is acknowledged and dropped.
	Seq      int64             `json:"seq"`
	Known    []ImageHash       `json:"known,omitempty"`
	Images   []HostImage       `json:"images,omitempty"` // new and changed ones
	Gone     []plimsoll.Digest `json:"gone,omitempty"`
	Stores   []Store           `json:"stores,omitempty"`
	Problems []Problem         `json:"problems,omitempty"`
	Requests []int64           `json:"requests,omitempty" doc:"sync requests that this answers"`
	Pulled   []plimsoll.Digest `json:"pulled,omitempty" doc:"images that came since the last sync"`
}

// ImageHash says in which state a host knows an image.
type ImageHash struct {
	ID   plimsoll.Digest `json:"id"`
	Hash string          `json:"hash" doc:"HostImage.Hash"`
}

// HostImage is one image on one host, in all its stores.
type HostImage struct {
	ID         plimsoll.Digest   `json:"id"`
	Hash       string            `json:"hash" doc:"of the record with this field empty, as the agent computes it"`
	Manifests  []plimsoll.Digest `json:"manifests,omitempty"`
	Platform   plimsoll.Platform `json:"platform"`
	Created    time.Time         `json:"created,omitzero"`
	Size       int64             `json:"size"`
	Config     ImageConfig       `json:"config"`
	History    []BuildStep       `json:"history,omitempty"`
	Layers     []HostLayer       `json:"layers"`
	Places     []HostPlace       `json:"places"`
	Containers []HostContainer   `json:"containers,omitempty"`
}

// HostLayer is one layer of a HostImage.
type HostLayer struct {
	DiffID    plimsoll.Digest `json:"diffID"`
	Size      int64           `json:"size,omitempty"`
	CreatedBy string          `json:"createdBy,omitempty"`
	Base      bool            `json:"base,omitempty"`
}

// HostPlace is one store of a host that holds the image.
type HostPlace struct {
	Engine  plimsoll.Engine `json:"engine"`
	Store   string          `json:"store"`
	Names   []string        `json:"names,omitempty"`
	Problem *Problem        `json:"problem,omitempty" doc:"why it cannot be read here"`
	// Private: others than the system's administrator can write the store, so
	// what it holds under a digest speaks for this host alone.
	Private bool `json:"private,omitempty"`
}

// HostContainer is a container made from a HostImage.
type HostContainer struct {
	ID      string `json:"id"`
	Name    string `json:"name,omitempty"`
	State   string `json:"state,omitempty"`
	Running bool   `json:"running,omitempty"`
	Pod     string `json:"pod,omitempty"`
}

// SyncAnswer acknowledges a sync. Want names images of Known that the console
// does not have in that state: the agent sends their records.
type SyncAnswer struct {
	Want []plimsoll.Digest `json:"want,omitempty"`
}

// Work is what the console asks of an agent. Every field may be empty.
type Work struct {
	Sync []int64 `json:"sync,omitempty" doc:"requests to list the images now"`
	Scan *Lease  `json:"scan,omitempty"`
}

// Lease is the right to read one image until Until, unless it is renewed.
type Lease struct {
	ID      string          `json:"id"`
	Image   plimsoll.Digest `json:"image"`
	Until   time.Time       `json:"until"`
	Attempt int             `json:"attempt"`
	Timeout int             `json:"timeout" doc:"seconds"`
	// Have lists layers whose facts the console keeps for the agent's analysers.
	Have []plimsoll.Digest `json:"have,omitempty"`
	// Private: read it without the fleet's facts and send none.
	Private bool `json:"private,omitempty"`
}

// Progress renews a lease.
type Progress struct {
	Done  int `json:"done" doc:"layers"`
	Total int `json:"total"`
}

// ProgressAnswer says whether to go on.
type ProgressAnswer struct {
	Stop  bool      `json:"stop,omitempty" doc:"the lease is lost or the scan was stopped"`
	Until time.Time `json:"until,omitzero"`
}

// ScanResult is what an agent read. It names its lease; whether that is still
// in force does not matter for a succeeded one: the work is done.
type ScanResult struct {
	Report    string              `json:"report" doc:"random ID; a console applies it once"`
	Lease     string              `json:"lease"`
	Image     plimsoll.Digest     `json:"image"`
	Attempt   int                 `json:"attempt"`
	Status    plimsoll.ScanStatus `json:"status" enum:"complete,partial,failed"`
	Problem   *Problem            `json:"problem,omitempty" doc:"why it failed"`
	Started   time.Time           `json:"started"`
	Ended     time.Time           `json:"ended"`
	Analyzed  int                 `json:"analyzed" doc:"layers that were read"`
	Reused    int                 `json:"reused" doc:"layers whose facts the fleet or the host had"`
	Private   bool                `json:"private,omitempty"`
	Inventory *plimsoll.Inventory `json:"inventory,omitempty"`
}

// ResultAnswer acknowledges a result after it is stored.
type ResultAnswer struct {
	Known bool `json:"known,omitempty" doc:"it had been applied before"`
}
