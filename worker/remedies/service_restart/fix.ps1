param(
    [string]$Mode = ''
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
if (-not (Test-Path -Path 'Variable:FM_SERVICE')) { $FM_SERVICE = '' }
if (-not (Test-Path -Path 'Variable:FM_SETTLE_SECONDS')) { $FM_SETTLE_SECONDS = '5' }

Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

# ---- What every remedy has: text, the result, guards ------------------------------------------------------------

$Before = New-Object System.Collections.Specialized.OrderedDictionary
$After = New-Object System.Collections.Specialized.OrderedDictionary
$Changed = New-Object System.Collections.ArrayList

# Return text as one line of printable ASCII, any other character as \uXXXX: names are anybody's.
function ConvertTo-Shown([string]$Text) {
    $Shown = New-Object System.Text.StringBuilder
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

function Write-Line([string]$Text) {
    [Console]::Out.WriteLine($Text)
}

# End with a code, an outcome and a message; the last line of the output is the result as JSON.
function Complete-Fix([int]$Code, [string]$Outcome, [string]$Message) {
    $Shown = ConvertTo-Shown $Message
    Write-Line $Shown
    $Result = New-Object System.Collections.Specialized.OrderedDictionary
    $Result.Add('remedy', $Remedy)
    $Result.Add('mode', (ConvertTo-Shown $Mode))
    $Result.Add('outcome', $Outcome)
    $Result.Add('exit_code', $Code)
    $Result.Add('message', $Shown)
    $Result.Add('before', $Before)
    $Result.Add('after', $After)
    $Result.Add('changed', $Changed.ToArray())
    Write-Line (ConvertTo-Json -InputObject $Result -Compress -Depth 6)
    exit $Code
}

trap {
    Complete-Fix 1 'failed' "$($_.Exception.Message)"
}

# Return a value as a whole number, or end with 2.
function Get-WholeNumber([string]$Name, [string]$Text, [int]$Minimum, [int]$Maximum) {
    $Number = 0
    $Plain = $Text.Split('.')[0]
    if (-not [int]::TryParse($Plain, [ref]$Number) -or $Number -lt $Minimum -or $Number -gt $Maximum) {
        Complete-Fix 2 'usage' "$Name must be a whole number from $Minimum to $Maximum"
    }
    return $Number
}

function Test-Administrator {
    $Identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
    $Principal = New-Object System.Security.Principal.WindowsPrincipal($Identity)
    return $Principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}

# Write what is done to the event log, where it may be written.
function Write-Action([string]$Text) {
    Write-Line $Text
    try {
        [System.Diagnostics.EventLog]::WriteEntry('Fleetmedic', "${Remedy}: $Text")
    }
    catch {
        Write-Verbose 'the event log has no source Fleetmedic'
    }
}

if ($args.Count -gt 0 -or @('', 'plan', 'apply', 'verify') -notcontains $Mode) {
    Complete-Fix 2 'usage' 'usage: fix.ps1 plan | apply | verify'
}
if ($Mode -eq '') {
    if ([Console]::IsInputRedirected -or [Console]::IsOutputRedirected) {
        Complete-Fix 2 'usage' 'without a terminal say what to do: plan | apply | verify'
    }
    $Shell = (Get-Process -Id $PID).Path
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath plan
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
    $Answer = Read-Host 'Do this? [y/N]'
    if ($Answer -ne 'y' -and $Answer -ne 'yes') {
        Write-Line 'Nothing was changed.'
        exit 0
    }
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath apply
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
    & $Shell -NoProfile -ExecutionPolicy Bypass -File $PSCommandPath verify
    exit $LASTEXITCODE
}

# ---- This remedy ------------------------------------------------------------------------------------------------

$Settle = Get-WholeNumber 'settle_seconds' $FM_SETTLE_SECONDS 1 120
if ($FM_SERVICE -eq '') { Complete-Fix 2 'usage' 'service is needed: the name of a Windows service' }
if ($FM_SERVICE -notmatch '^[A-Za-z0-9:_.@\\][A-Za-z0-9:_.@\\ $()-]*$') {
    Complete-Fix 2 'usage' "service must be the name of a Windows service, not $FM_SERVICE"
}
$Critical = @('rpcss', 'dcomlaunch', 'eventlog', 'lsm', 'samss', 'plugplay', 'power', 'profsvc', 'winmgmt', 'termservice',
    'sshd', 'docker', 'vmms', 'windefend', 'fleetmedic')

# Return the service of exactly this name; nothing when there is none.
function Get-Wanted {
    foreach ($Service in Get-Service) {
        if ($Service.Name -eq $FM_SERVICE) { return $Service }
    }
    return $null
}

function Write-LastLines {
    try {
        $Filter = @{ LogName = 'System'; ProviderName = 'Service Control Manager' }
        foreach ($Entry in @(Get-WinEvent -FilterHashtable $Filter -MaxEvents 200)) {
            if ("$($Entry.Message)".Contains($Service.DisplayName)) {
                Write-Line "  $($Entry.TimeCreated.ToString('s'))  $(ConvertTo-Shown $Entry.Message)"
            }
        }
    }
    catch {
        Write-Line '  the event log has none'
    }
}

# Restart the service and watch that it stays up.
function Invoke-Apply {
    Write-Action "restarting service $FM_SERVICE"
    try {
        Restart-Service -Name $Service.Name -Force:$false
    }
    catch {
        Complete-Fix 1 'failed' "service $FM_SERVICE could not be restarted: $($_.Exception.Message)"
    }
    [void]$Changed.Add(@{ service = $FM_SERVICE; action = 'restart' })
    $Deadline = (Get-Date).AddSeconds($Settle)
    do {
        Start-Sleep -Seconds 1
        $State = "$((Get-Wanted).Status)"
    } while ($State -eq 'Running' -and (Get-Date) -lt $Deadline)
    $After.Add('state', $State)
    if ($State -ne 'Running') {
        Write-LastLines
        Complete-Fix 1 'failed' "service $FM_SERVICE did not stay up: it is $State"
    }
    Complete-Fix 0 'done' "service $FM_SERVICE runs, and did for $Settle s"
}

$Service = Get-Wanted
if ($null -eq $Service) { Complete-Fix 3 'refused' "there is no service $FM_SERVICE here" }
$State = "$($Service.Status)"
Write-Line "Service $FM_SERVICE is $State. Its last log lines:"
Write-LastLines
$Before.Add('service', $FM_SERVICE)
$Before.Add('state', $State)

if ($Mode -eq 'verify') {
    if ($State -ne 'Running') { Complete-Fix 1 'failed' "service $FM_SERVICE is $State" }
    Complete-Fix 0 'done' "service $FM_SERVICE runs"
}
# What is down can only gain; what runs may carry others.
if ($State -eq 'Running') {
    if ($Critical -contains $FM_SERVICE.ToLowerInvariant()) {
        Complete-Fix 3 'refused' "service $FM_SERVICE runs, and other things depend on it: it is left alone"
    }
    Complete-Fix 0 'nothing' "service $FM_SERVICE runs"
}
if ($Mode -eq 'plan') {
    Write-Line "Would restart $FM_SERVICE, and watch for $Settle s that it stays up."
    Complete-Fix 0 'planned' 'nothing was changed'
}
if (-not (Test-Administrator)) { Complete-Fix 3 'refused' 'a service can be restarted by an administrator only' }
Invoke-Apply
