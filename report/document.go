package report

// The types of the JSON documents. Tags are the contract: json names the field,
// doc describes it and enum lists its values in report/schema.json, which a test
// keeps equal to these types. A field is never renamed or given another meaning
// within a schemaVersion; new fields may come.
//
// Environment variables of an image are left out on purpose: they hold secrets,
// and a report is passed around.

// schemaVersion counts incompatible changes of the documents.
const schemaVersion = 1

type reportDoc struct {
	Kind            string             `json:"kind" enum:"report"`
	SchemaVersion   int                `json:"schemaVersion"`
	Tool            string             `json:"tool" doc:"name and version of the program"`
	Generation      *generationDoc     `json:"generation" doc:"the advisories that were asked; null when none were"`
	Results         []resultDoc        `json:"results" doc:"one for each image"`
	Vulnerabilities []vulnerabilityDoc `json:"vulnerabilities" doc:"what the findings of all results are about, once each, by id"`
	Hidden          []hiddenDoc        `json:"hidden" doc:"findings that filters removed from the results"`
}

type imagesDoc struct {
	Kind          string     `json:"kind" enum:"images"`
	SchemaVersion int        `json:"schemaVersion"`
	Images        []imageDoc `json:"images"`
}

type explanationDoc struct {
	Kind          string           `json:"kind" enum:"explanation"`
	SchemaVersion int              `json:"schemaVersion"`
	Tool          string           `json:"tool"`
	Generation    *generationDoc   `json:"generation"`
	Vulnerability vulnerabilityDoc `json:"vulnerability"`
	Results       []resultDoc      `json:"results" doc:"the images that were asked about, without their packages"`
}

type databaseDoc struct {
	Kind          string        `json:"kind" enum:"database"`
	SchemaVersion int           `json:"schemaVersion"`
	Generation    generationDoc `json:"generation"`
	AgeSeconds    int64         `json:"ageSeconds" doc:"from built to the time of asking; 0 when built is unknown"`
}

type generationDoc struct {
	Schema     int         `json:"schema"`
	ID         string      `json:"id,omitempty" doc:"digest of the database file"`
	Built      string      `json:"built,omitempty" format:"date-time" doc:"the newest date of its sources"`
	Sample     bool        `json:"sample" doc:"a demonstration sample: do not rely on it"`
	Advisories int         `json:"advisories"`
	Sources    []sourceDoc `json:"sources"`
}

type sourceDoc struct {
	Name       string `json:"name"`
	URL        string `json:"url,omitempty"`
	Newest     string `json:"newest,omitempty" format:"date-time" doc:"newest record, or the provider's own date"`
	Fetched    string `json:"fetched,omitempty" format:"date-time"`
	Records    int    `json:"records"`
	AgeSeconds *int64 `json:"ageSeconds,omitempty" doc:"from newest to the time of asking; in database documents only"`
}

type hiddenDoc struct {
	Filter string `json:"filter"`
	Count  int    `json:"count"`
}

type resultDoc struct {
	Image     imageDoc     `json:"image"`
	Status    string       `json:"status" enum:"complete|partial|failed" doc:"partial: something could not be read, see problems; failed: nothing is known about the image"`
	Problem   *problemDoc  `json:"problem" doc:"why the scan failed; else null"`
	Matched   bool         `json:"matched" doc:"false when no advisories were asked; findings is null then"`
	JudgedAs  string       `json:"judgedAs,omitempty" doc:"the system that was named for the image (--distro) in place of its own; systems are those that it names itself"`
	Summary   *summaryDoc  `json:"summary" doc:"counts of the findings shown; null when not matched"`
	ClaimedBy string       `json:"claimedBy,omitempty" doc:"the tool whose SBOM is all that is known: the image itself was not read"`
	Systems   []systemDoc  `json:"systems"`
	Analyzers string       `json:"analyzers,omitempty" doc:"identity of the analyser set"`
	Packages  []packageDoc `json:"packages" doc:"all software found; null in explanations and for failed scans"`
	Findings  []findingDoc `json:"findings" doc:"null when not matched, empty when matched and clean"`
	Hidden    []hiddenDoc  `json:"hidden" doc:"findings of this image that filters removed"`
	Coverage  []coverDoc   `json:"coverage"`
	Problems  []problemDoc `json:"problems"`
	Plan      *planDoc     `json:"plan" doc:"null when not matched"`
}

type summaryDoc struct {
	System      countsDoc `json:"system"`
	Application countsDoc `json:"application"`
}

type countsDoc struct {
	Judged         bool `json:"judged" doc:"whether anybody was asked about packages of this class; if not, 0 means that nothing is known"`
	Critical       int  `json:"critical"`
	High           int  `json:"high"`
	Medium         int  `json:"medium"`
	Unknown        int  `json:"unknown"`
	Low            int  `json:"low"`
	None           int  `json:"none"`
	Fixable        int  `json:"fixable"`
	KnownExploited int  `json:"knownExploited"`
	Informational  int  `json:"informational" doc:"findings that do not say the package is affected; not in the other counts"`
}

type imageDoc struct {
	ID         string            `json:"id,omitempty" doc:"digest of the configuration"`
	Engine     string            `json:"engine"`
	Store      string            `json:"store,omitempty"`
	Names      []string          `json:"names" doc:"references; empty for a dangling image"`
	Manifests  []string          `json:"manifests" doc:"manifest digests"`
	OS         string            `json:"os,omitempty"`
	Arch       string            `json:"architecture,omitempty"`
	Variant    string            `json:"variant,omitempty"`
	Created    string            `json:"created,omitempty" format:"date-time"`
	Size       int64             `json:"size" doc:"bytes of all layers, uncompressed; 0 when unknown"`
	User       string            `json:"user,omitempty"`
	WorkingDir string            `json:"workingDir,omitempty"`
	Entrypoint []string          `json:"entrypoint,omitempty"`
	Cmd        []string          `json:"cmd,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Layers     []layerDoc        `json:"layers" doc:"bottom first"`
	Containers []containerDoc    `json:"containers" doc:"containers on this host that were made from it"`
	Problem    *problemDoc       `json:"problem,omitempty" doc:"why the image cannot be read"`
}

type layerDoc struct {
	DiffID    string `json:"diffId"`
	ChainID   string `json:"chainId"`
	Size      int64  `json:"size" doc:"bytes, uncompressed; 0 when unknown"`
	CreatedBy string `json:"createdBy,omitempty" doc:"the build step that made it"`
	Base      bool   `json:"base" doc:"belongs to the base image"`
}

type containerDoc struct {
	ID    string `json:"id"`
	Name  string `json:"name,omitempty"`
	State string `json:"state,omitempty"`
	Pod   string `json:"pod,omitempty" doc:"namespace/pod"`
}

type systemDoc struct {
	ID        string   `json:"id"`
	IDLike    []string `json:"idLike,omitempty"`
	VersionID string   `json:"versionId,omitempty"`
	Codename  string   `json:"codename,omitempty"`
	Name      string   `json:"name,omitempty"`
	Version   string   `json:"version,omitempty"`
	VariantID string   `json:"variantId,omitempty"`
	CPE       string   `json:"cpe,omitempty"`
	Release   string   `json:"release,omitempty"`
	Root      string   `json:"root,omitempty"`
	Path      string   `json:"path,omitempty"`
}

type packageDoc struct {
	Type      string     `json:"type" doc:"purl type"`
	Name      string     `json:"name"`
	Version   string     `json:"version"`
	Arch      string     `json:"arch,omitempty"`
	Source    *sourcePkg `json:"source,omitempty"`
	Module    string     `json:"module,omitempty" doc:"rpm module"`
	Licenses  []string   `json:"licenses,omitempty"`
	Supplier  string     `json:"supplier,omitempty"`
	Origin    string     `json:"origin,omitempty" doc:"where a system package came from when not from the distribution"`
	Path      string     `json:"path,omitempty" doc:"the file that proves it, relative to the image's root"`
	Locations []string   `json:"locations,omitempty"`
	Root      string     `json:"root,omitempty" doc:"directory of a second system within the image"`
	Layer     string     `json:"layer,omitempty" doc:"diff ID"`
	Owner     string     `json:"owner,omitempty" doc:"system package that owns path"`
	PURL      string     `json:"purl,omitempty"`
	Evidence  string     `json:"evidence,omitempty" enum:"package-db|metadata|build-info|sbom|binary|file-name"`
	Dev       bool       `json:"dev,omitempty"`
	Bundled   string     `json:"bundled,omitempty" doc:"the package that bundles it"`
	Remark    string     `json:"remark,omitempty" doc:"what was noticed beyond the fields, in words; it decides nothing"`
}

type sourcePkg struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

type findingDoc struct {
	Vulnerability  string      `json:"vulnerability" doc:"id of an entry of vulnerabilities"`
	Class          string      `json:"class" enum:"system|application"`
	Status         string      `json:"status" enum:"affected|component-not-present|owned-by-system|handled-by-vex"`
	Confidence     string      `json:"confidence" enum:"high|medium|low" doc:"of the weakest link: what proves the package, and what its version is compared with"`
	Severity       string      `json:"severity" enum:"none|low|unknown|medium|high|critical"`
	SeveritySource string      `json:"severitySource,omitempty" doc:"whose rating severity is"`
	Ratings        []ratingDoc `json:"ratings" doc:"all ratings for this package"`
	KnownExploited bool        `json:"knownExploited"`
	EPSS           *float64    `json:"epss,omitempty" doc:"probability of exploitation within 30 days"`
	Package        packageDoc  `json:"package"`
	State          string      `json:"state" enum:"unknown|fixed|not-fixed|deferred|will-not-fix|end-of-life|extended-only|under-investigation" doc:"whether there is a fix"`
	FixedVersion   string      `json:"fixedVersion,omitempty" doc:"lowest version at or above the installed one that is not affected"`
	FixedVersions  []string    `json:"fixedVersions,omitempty"`
	Reasons        []reasonDoc `json:"reasons" doc:"the records that matched, strongest first"`
	VEX            []vexDoc    `json:"vex,omitempty" doc:"VEX statements about it, the one that decides first"`
}

type reasonDoc struct {
	Advisory  string `json:"advisory"`
	Provider  string `json:"provider"`
	Modified  string `json:"modified,omitempty" format:"date-time"`
	Ecosystem string `json:"ecosystem,omitempty"`
	Package   string `json:"package" doc:"the name that was compared"`
	Version   string `json:"version" doc:"the version that was compared"`
	Scheme    string `json:"scheme,omitempty" doc:"the order that compared it"`
	Range     string `json:"range"`
	Note      string `json:"note,omitempty" doc:"what makes the match less than certain"`
}

type vulnerabilityDoc struct {
	ID             string      `json:"id"`
	Aliases        []string    `json:"aliases"`
	Summary        string      `json:"summary,omitempty"`
	Details        string      `json:"details,omitempty"`
	Severity       string      `json:"severity" enum:"none|low|unknown|medium|high|critical"`
	SeveritySource string      `json:"severitySource,omitempty"`
	Ratings        []ratingDoc `json:"ratings"`
	EPSS           *epssDoc    `json:"epss,omitempty"`
	KEV            *kevDoc     `json:"kev,omitempty"`
	References     []string    `json:"references"`
	Published      string      `json:"published,omitempty" format:"date-time"`
	Malicious      bool        `json:"malicious,omitempty" doc:"the package itself is the attack"`
	Disputed       bool        `json:"disputed,omitempty"`
}

type ratingDoc struct {
	Source   string  `json:"source"`
	Method   string  `json:"method,omitempty"`
	Vector   string  `json:"vector,omitempty"`
	Score    float64 `json:"score,omitempty"`
	Severity string  `json:"severity" enum:"none|low|unknown|medium|high|critical"`
}

type epssDoc struct {
	Score      float64 `json:"score"`
	Percentile float64 `json:"percentile"`
	Date       string  `json:"date,omitempty" format:"date-time"`
}

type kevDoc struct {
	Added      string `json:"added,omitempty" format:"date-time"`
	Due        string `json:"due,omitempty" format:"date-time"`
	Ransomware bool   `json:"ransomware" doc:"known use in ransomware campaigns"`
	Action     string `json:"action,omitempty"`
}

type coverDoc struct {
	Group     string `json:"group"`
	Class     string `json:"class,omitempty" enum:"system|application"`
	Ecosystem string `json:"ecosystem,omitempty" doc:"whose advisories were asked; absent: nobody's"`
	Packages  int    `json:"packages"`
	EndOfLife string `json:"endOfLife,omitempty" format:"date-time"`
	Ended     bool   `json:"ended" doc:"the end of life lies before the date of the advisories"`
	Assumed   bool   `json:"assumed" doc:"judged as the distribution it derives from"`
}

type problemDoc struct {
	Code     string `json:"code"`
	Path     string `json:"path,omitempty"`
	Layer    string `json:"layer,omitempty"`
	Analyzer string `json:"analyzer,omitempty"`
	Detail   string `json:"detail,omitempty"`
	Count    int    `json:"count"`
}

type planDoc struct {
	Base      partDoc        `json:"base" doc:"for the owner of the base image"`
	Own       partDoc        `json:"own" doc:"for whoever builds this image"`
	Remaining []remainingDoc `json:"remaining" doc:"findings that no upgrade clears"`
}

type partDoc struct {
	Steps    []stepDoc `json:"steps"`
	Clears   int       `json:"clears" doc:"findings"`
	Commands []string  `json:"commands"`
}

type stepDoc struct {
	Package   string   `json:"package"`
	Packages  []string `json:"packages" doc:"the installed packages it stands for"`
	Type      string   `json:"type"`
	Path      string   `json:"path,omitempty"`
	From      string   `json:"from"`
	To        string   `json:"to"`
	Layer     string   `json:"layer,omitempty"`
	CreatedBy string   `json:"createdBy,omitempty"`
	Clears    []string `json:"clears" doc:"vulnerability ids"`
	Worst     string   `json:"worst" enum:"none|low|unknown|medium|high|critical"`
	Breaking  bool     `json:"breaking" doc:"crosses a major version"`
}

type remainingDoc struct {
	State  string `json:"state"`
	Count  int    `json:"count"`
	Worst  string `json:"worst" enum:"none|low|unknown|medium|high|critical"`
	Reason string `json:"reason,omitempty"`
}
