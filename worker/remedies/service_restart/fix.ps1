param(
    [string]$Mode = '',
    [switch]$Force
)
# fleetmedic: values
# Restarts a service that is down, and checks that it stays up.
#
#   powershell -File fix.ps1 plan             shows what would be done, and changes nothing
#   powershell -File fix.ps1 apply            does it
#   powershell -File fix.ps1 verify           measures whether it helped
#
# Exit codes: 0 done or nothing to do, 1 failed, 2 bad usage, 3 refused. The last line printed is a JSON object.

$Remedy = 'service_restart'
$MayForce = $false
if (-not (Test-Path -Path 'Variable:FM_SERVICE')) { $FM_SERVICE = '' }
if (-not (Test-Path -Path 'Variable:FM_SETTLE_SECONDS')) { $FM_SETTLE_SECONDS = '5' }

# ---- What every remedy has: text, the result, the log, its modes ------------------------------------------------

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

# A policy may let scripts only use what PowerShell has itself, so that neither a type nor a method is at hand.
if ("$($ExecutionContext.SessionState.LanguageMode)" -ne 'FullLanguage') {
    $Message = 'a policy restricts the language of scripts here, and this one needs all of it'
    $Known = ''
    if (@('plan', 'apply', 'verify') -contains $Mode) { $Known = $Mode }
    Write-Output -InputObject $Message
    Write-Output -InputObject ('{"remedy":"' + $Remedy + '","mode":"' + $Known + '","outcome":"refused","exit_code":3,"message":"' +
        $Message + '","before":{},"after":{},"changed":[]}')
    exit 3
}

if (-not (Test-Path -Path 'Variable:FM_VERSION')) { $FM_VERSION = '' }
if (-not (Test-Path -Path 'Variable:FM_EVENT')) { $FM_EVENT = '' }
if (-not (Test-Path -Path 'Variable:FM_HOST')) { $FM_HOST = '' }
$Before = [ordered]@{}
$After = [ordered]@{}
$Changed = New-Object -TypeName System.Collections.ArrayList
$Ended = $false
$Interrupted = 'interrupted: what was done until then is logged; verify measures how it stands now'

# Return text as one line of printable ASCII, any other character as \uXXXX: names are anybody's.
function ConvertTo-Shown([string]$Text) {
    $Shown = New-Object -TypeName System.Text.StringBuilder
    foreach ($Character in $Text.ToCharArray()) {
        if ($Shown.Length -ge 200) { break }
        $Code = [int]$Character
        if ($Code -ge 32 -and $Code -le 126) {
            [void]$Shown.Append($Character)
        }
        else {
            [void]$Shown.Append('\u' + $Code.ToString('x4'))
        }
    }
    return $Shown.ToString()
}

function ConvertTo-Kibibytes([long]$Bytes) {
    return [long][Math]::Floor($Bytes / 1024)
}

function ConvertTo-Mebibytes([long]$Bytes) {
    return [long][Math]::Floor($Bytes / 1048576)
}

# Print a line by itself: what a function of PowerShell outputs is what it returns.
function Write-Line([string]$Text) {
    [Console]::Out.WriteLine($Text)
}

# End with a code, an outcome and a message; the last line of the output is the result as JSON.
function Complete-Fix([int]$Code, [string]$Outcome, [string]$Message) {
    $script:Ended = $true
    $Shown = ConvertTo-Shown $Message
    Write-Line $Shown
    $Result = [ordered]@{
        remedy = $Remedy
        mode = (ConvertTo-Shown $Mode)
        outcome = $Outcome
        exit_code = $Code
        message = $Shown
        before = $Before
        after = $After
        changed = $Changed.ToArray()
    }
    Write-Line (ConvertTo-Json -InputObject $Result -Compress -Depth 6)
    exit $Code
}

# Write what is done to the event log, with what it answers.
function Write-Action([string]$Text) {
    $Shown = ConvertTo-Shown $Text
    Write-Line $Shown
    $Answers = $Remedy
    if ($FM_VERSION -ne '') { $Answers += " $FM_VERSION" }
    if ($FM_EVENT -ne '') { $Answers += " for event $FM_EVENT" }
    if ($FM_HOST -ne '') { $Answers += " on $FM_HOST" }
    $Entry = "Fleetmedic: $(ConvertTo-Shown $Answers): $Shown"
    # Only an administrator can make a source of events; the other one is there on every Windows.
    foreach ($Source in 'Fleetmedic', 'Application') {
        try {
            [System.Diagnostics.EventLog]::WriteEntry($Source, $Entry)
            return
        }
        catch {
            continue
        }
    }
    Write-Line '  there is no event log to write that to'
}

# Return a value as a whole number, or end with 2.
function Get-WholeNumber([string]$Name, [string]$Text, [long]$Minimum, [long]$Maximum) {
    $Number = [long]-1
    if ($Text -cmatch '\A(0|[1-9][0-9]{0,17})\z') { $Number = [long]$Text }
    if ($Number -lt $Minimum -or $Number -gt $Maximum) {
        Complete-Fix 2 'usage' "$Name must be a whole number from $Minimum to $Maximum"
    }
    return $Number
}

# End with 3 elsewhere than on Windows: PowerShell 7 runs there too.
function Assert-Windows {
    if ([Environment]::OSVersion.Platform -ne 'Win32NT') {
        Complete-Fix 3 'refused' 'this script is for Windows: on Linux and macOS run the one for bash'
    }
}

function Test-Administrator {
    $Identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
    $Principal = New-Object -TypeName System.Security.Principal.WindowsPrincipal -ArgumentList $Identity
    return $Principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}

# End with the code of a step, which has said by itself how it ended unless it was killed.
function Exit-AfterStep([int]$Code) {
    if ($Code -lt 0 -or $Code -gt 3) { Complete-Fix 1 'failed' $Interrupted }
    $script:Ended = $true
    exit $Code
}

# On a terminal: plan, ask when there is something to do, apply, verify.
function Invoke-Steps([string]$Usage) {
    if ([Console]::IsInputRedirected -or [Console]::IsOutputRedirected) {
        Complete-Fix 2 'usage' "without a terminal say what to do: $Usage"
    }
    $Shell = (Get-Process -Id $PID).Path
    $Last = ''
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath plan | ForEach-Object -Process {
        $Last = "$_"
        Write-Line $Last
    }
    if ($LASTEXITCODE -ne 0 -or -not $Last.Contains(',"outcome":"planned",')) { Exit-AfterStep $LASTEXITCODE }
    $Answer = Read-Host -Prompt 'Do this? [y/N]'
    if ($Answer -ne 'y' -and $Answer -ne 'yes') { Complete-Fix 0 'nothing' 'nothing was changed: the answer was no' }
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath apply
    if ($LASTEXITCODE -eq 0) { & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath verify }
    Exit-AfterStep $LASTEXITCODE
}

# ---- This remedy ------------------------------------------------------------------------------------------------

# What runs may carry others: these do. A name ends with * where more follows.
$Depended = @('rpcss', 'rpceptmapper', 'dcomlaunch', 'eventlog', 'lsm', 'samss', 'netlogon', 'plugplay', 'power', 'profsvc',
    'winmgmt', 'winrm', 'termservice', 'dhcp', 'dnscache', 'bfe', 'mpssvc', 'windefend', 'sshd*', 'docker*', 'containerd*',
    'com.docker*', 'kubelet*', 'vmms', 'vmcompute', 'wslservice', 'mssql*', 'postgresql*', 'mysql*', 'mariadb*', 'mongodb*',
    'oracleservice*', 'redis*', 'memurai*', 'fleetmedic*')

# Return what Windows tells of the service of exactly this name; nothing when there is none.
function Get-Wanted {
    return Get-CimInstance -ClassName Win32_Service -Filter "Name = '$($FM_SERVICE.Replace('\', '\\'))'"
}

# Return what is measured of a service.
function Get-Measured($Wanted) {
    return [ordered]@{
        state = $Wanted.State; start_mode = $Wanted.StartMode; exit_code = [long]$Wanted.ExitCode; pid = [long]$Wanted.ProcessId
    }
}

# Tell what the event log has last of a service: what Windows says of it, and what it says itself.
function Write-LastLines($Wanted) {
    $Entries = @()
    foreach ($Source in @('System', 'Service Control Manager'), @('Application', $Wanted.Name)) {
        try {
            $Entries += @(Get-WinEvent -FilterHashtable @{ LogName = $Source[0]; ProviderName = $Source[1] } -MaxEvents 200)
        }
        catch {
            # A provider that is not there is an error, and so is one with nothing to tell.
            continue
        }
    }
    $Own = @($Entries | Where-Object -FilterScript {
        $_.ProviderName -eq $Wanted.Name -or "$($_.Message)".Contains("$($Wanted.DisplayName)")
    } | Sort-Object -Property TimeCreated | Select-Object -Last 10)
    foreach ($Entry in $Own) { Write-Line "  $($Entry.TimeCreated.ToString('s'))  $(ConvertTo-Shown $Entry.Message)" }
    if ($Own.Count -eq 0) { Write-Line '  none, or none that this user may read' }
}

# Return why a service that is down must be left alone; an empty text when it may be restarted.
function Get-Obstacle($Wanted) {
    if ($Wanted.StartMode -eq 'Disabled') { return 'it is disabled: somebody decided that it must not run' }
    if ($Wanted.State -eq 'Stopped') { return '' }
    $Service = Get-Service -Name $Wanted.Name
    $Others = @($Service.DependentServices | Where-Object -FilterScript { "$($_.Status)" -ne 'Stopped' })
    if ($Others.Count -gt 0) { return "it would stop $($Others[0].ServiceName), which runs" }
    return ''
}

# Stop a service where it is not stopped, and start it; Windows is given half a minute for each.
function Invoke-ApplyRestart([string]$Name) {
    $Service = Get-Service -Name $Name
    $Patience = [TimeSpan]::FromSeconds(30)
    if (@('Stopped', 'StartPending', 'StopPending') -notcontains "$($Service.Status)") { $Service.Stop() }
    if ("$($Service.Status)" -ne 'StartPending') {
        $Service.WaitForStatus('Stopped', $Patience)
        $Service.Start()
    }
    $Service.WaitForStatus('Running', $Patience)
}

# Say whether the service is up all the time, for as long as it must, in one run.
function Test-StaysUp([int]$Seconds) {
    $Run = 0
    for ($Waited = 0; $Waited -le 2 * $Seconds; $Waited++) {
        $Wanted = Get-Wanted
        if ($null -eq $Wanted -or $Wanted.State -ne 'Running') { return $false }
        if ($Waited -eq 0) { $Run = $Wanted.ProcessId }
        if ($Wanted.ProcessId -ne $Run) { return $false }
        Start-Sleep -Milliseconds 500
    }
    return $true
}

# Restart the service and watch that it stays up.
function Invoke-Apply($Wanted, [int]$Settle) {
    Write-Action "restarting service $($Wanted.Name)"
    [void]$Changed.Add([ordered]@{ service = $FM_SERVICE; action = 'restart' })
    $Up = $false
    try {
        Invoke-ApplyRestart $Wanted.Name
        $Up = Test-StaysUp $Settle
    }
    catch {
        $Cause = $_.Exception.GetBaseException()
        Write-Line "  $(ConvertTo-Shown $Cause.Message)"
    }
    $Now = Get-Measured (Get-Wanted)
    foreach ($Name in $Now.Keys) { $After.Add($Name, $Now[$Name]) }
    if ($Up) { Complete-Fix 0 'done' "service $FM_SERVICE is up, and stayed up for $Settle s" }
    Write-Line 'Its last log lines:'
    Write-LastLines $Wanted
    Complete-Fix 1 'failed' "service $FM_SERVICE did not stay up: it is $($Now['state']), exit code $($Now['exit_code'])"
}

function Invoke-Fix {
    $Settle = [int](Get-WholeNumber 'settle_seconds' $FM_SETTLE_SECONDS 1 120)
    if ($FM_SERVICE -eq '') { Complete-Fix 2 'usage' 'service is needed: the name of a Windows service' }
    if ($FM_SERVICE -cnotmatch '\A[A-Za-z0-9:_.@\\][A-Za-z0-9:_.@\\ $()-]*\z') {
        Complete-Fix 2 'usage' "service must be the name of a Windows service, not $FM_SERVICE"
    }
    Assert-Windows

    $Wanted = Get-Wanted
    if ($null -eq $Wanted) { Complete-Fix 3 'refused' "there is no service $FM_SERVICE here" }
    Write-Line "Service $FM_SERVICE is $($Wanted.State). Its last log lines:"
    Write-LastLines $Wanted
    $Before.Add('service', $FM_SERVICE)
    $Now = Get-Measured $Wanted
    foreach ($Name in $Now.Keys) { $Before.Add($Name, $Now[$Name]) }

    if ($Mode -eq 'verify') {
        if ($Wanted.State -ne 'Running') { Complete-Fix 1 'failed' "service $FM_SERVICE is $($Wanted.State)" }
        if (-not (Test-StaysUp $Settle)) {
            Complete-Fix 1 'failed' "service $FM_SERVICE does not stay up: it went down within $Settle s"
        }
        Complete-Fix 0 'done' "service $FM_SERVICE is up, and stayed up for $Settle s"
    }
    if ($Wanted.State -eq 'Running') {
        if (@($Depended | Where-Object -FilterScript { $Wanted.Name -like $_ }).Count -gt 0) {
            Complete-Fix 3 'refused' "service $FM_SERVICE runs, and other things depend on it: it is left alone"
        }
        Complete-Fix 0 'nothing' "service $FM_SERVICE runs"
    }
    $Why = Get-Obstacle $Wanted
    if ($Why -ne '') { Complete-Fix 3 'refused' "service $FM_SERVICE is left alone: $Why" }
    if ($Mode -eq 'plan') {
        Write-Line "Would restart $FM_SERVICE, and watch for $Settle s that it stays up."
        Complete-Fix 0 'planned' 'nothing was changed'
    }
    if (-not (Test-Administrator)) { Complete-Fix 3 'refused' 'a service can be restarted by an administrator only' }
    Invoke-Apply $Wanted $Settle
}

# ---- What every remedy ends with --------------------------------------------------------------------------------

try {
    $Usage = 'fix.ps1 plan | apply | verify'
    if ($MayForce) { $Usage = 'fix.ps1 plan | apply [-Force] | verify' }
    if ($args.Count -gt 0 -or @('', 'plan', 'apply', 'verify') -notcontains $Mode) { Complete-Fix 2 'usage' "usage: $Usage" }
    if ($Force -and -not ($MayForce -and $Mode -eq 'apply')) { Complete-Fix 2 'usage' "usage: $Usage" }
    if ($Mode -eq '') { Invoke-Steps $Usage }
    Invoke-Fix
}
catch {
    Complete-Fix 1 'failed' "$($_.Exception.Message)"
}
finally {
    # Nothing but Ctrl+C comes here without a result.
    if (-not $Ended) { Complete-Fix 1 'failed' $Interrupted }
}
