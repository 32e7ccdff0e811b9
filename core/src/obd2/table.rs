//! The tables of SAE J1979: one row per command, in the order of service and PID.
//!
//! Names and descriptions of the rows that python-OBD has are the ones its clients know. Service 02 is service 01
//! with another number: its rows are derived.

use super::{
    Ask, Command,
    Decoder::*,
    Ecu, Kind,
    Scaling::*,
    Signal,
    enumeration::{COMPLIANCE, EMISSION, FUEL, SECONDARY_AIR},
    layout::layout,
};

/// Makes a table from rows; each macro argument before the rows is a table to make, with its service.
macro_rules! commands {
    ($(#[$doc:meta])* $table:ident $service:tt; $($pid:tt $name:ident $description:literal $bytes:literal $ecu:ident $pace:ident $decoder:expr;)*) => {
        $(#[$doc])*
        pub static $table: &[Command] = &[$(Command {
            name: stringify!($name),
            description: $description,
            ask: commands!(@ask $service $pid),
            bytes: $bytes,
            ecu: Ecu::$ecu,
            fast: commands!(@pace $pace),
            decoder: $decoder,
        }),*];
    };
    (@ask AT $text:literal) => { Ask::Adapter($text) };
    (@ask $service:literal -) => { Ask::Service($service) };
    (@ask $service:literal $pid:literal) => { Ask::Pid($service, $pid) };
    (@pace fast) => { true };
    (@pace slow) => { false };
}

/// Makes the tables of services 01 and 02 from one.
macro_rules! live_and_frozen {
    ($($pid:literal $name:ident $description:literal $bytes:literal $ecu:ident $pace:ident $decoder:expr;)*) => {
        commands! {
            /// Service 01: current data.
            SERVICE_01 0x01; $($pid $name $description $bytes $ecu $pace $decoder;)*
        }

        /// Service 02: the same in the freeze frame.
        pub static SERVICE_02: &[Command] = &[$(Command {
            name: concat!("DTC_", stringify!($name)),
            description: concat!("DTC ", $description),
            ask: Ask::Pid(0x02, $pid),
            bytes: $bytes,
            ecu: Ecu::$ecu,
            fast: commands!(@pace $pace),
            decoder: $decoder,
        }),*];
    };
}

/// Any monitor without a row of service 06, such as the manufacturer's own (E1 to FF): results name themselves.
pub(super) static MONITOR: Command = Command {
    name: "MONITOR",
    description: "Results of a monitor",
    ask: Ask::Service(0x06),
    bytes: 0,
    ecu: Ecu::All,
    fast: false,
    decoder: Tests,
};

/// Every table, in the order of services; the adapter's own commands last.
pub(super) static SERVICES: [&[Command]; 11] = [
    SERVICE_01, SERVICE_02, SERVICE_03, SERVICE_04, SERVICE_05, SERVICE_06, SERVICE_07, SERVICE_08,
    SERVICE_09, SERVICE_0A, ADAPTER,
];

/// The table of a service, 01 to 0A.
pub(super) fn service(service: u8) -> Option<&'static [Command]> {
    match service {
        1..=10 => SERVICES.get(usize::from(service) - 1).copied(),
        _ => None,
    }
}

#[rustfmt::skip]
live_and_frozen! {
//  pid   name                            description                                                bytes ecu     pace  decoder
    0x00  PIDS_A                          "Supported PIDs [01-20]"                                       6 Engine  fast  Supported;
    0x01  STATUS                          "Status since DTCs cleared"                                    6 Engine  fast  Status;
    0x02  FREEZE_DTC                      "DTC that triggered the freeze frame"                          4 Engine  fast  Code;
    0x03  FUEL_STATUS                     "Fuel System Status"                                           4 Engine  fast  FuelSystems;
    0x04  ENGINE_LOAD                     "Calculated Engine Load"                                       3 Engine  fast  Scaled(Percent);
    0x05  COOLANT_TEMP                    "Engine Coolant Temperature"                                   3 Engine  fast  Scaled(Celsius);
    0x06  SHORT_FUEL_TRIM_1               "Short Term Fuel Trim - Bank 1"                                3 Engine  fast  Scaled(PercentCentered);
    0x07  LONG_FUEL_TRIM_1                "Long Term Fuel Trim - Bank 1"                                 3 Engine  fast  Scaled(PercentCentered);
    0x08  SHORT_FUEL_TRIM_2               "Short Term Fuel Trim - Bank 2"                                3 Engine  fast  Scaled(PercentCentered);
    0x09  LONG_FUEL_TRIM_2                "Long Term Fuel Trim - Bank 2"                                 3 Engine  fast  Scaled(PercentCentered);
    0x0A  FUEL_PRESSURE                   "Fuel Pressure"                                                3 Engine  fast  Scaled(FuelPressure);
    0x0B  INTAKE_PRESSURE                 "Intake Manifold Pressure"                                     3 Engine  fast  Scaled(Kilopascal);
    0x0C  RPM                             "Engine RPM"                                                   4 Engine  fast  Scaled(Uas07);
    0x0D  SPEED                           "Vehicle Speed"                                                3 Engine  fast  Scaled(Uas09);
    0x0E  TIMING_ADVANCE                  "Timing Advance"                                               3 Engine  fast  Scaled(TimingAdvance);
    0x0F  INTAKE_TEMP                     "Intake Air Temp"                                              3 Engine  fast  Scaled(Celsius);
    0x10  MAF                             "Air Flow Rate (MAF)"                                          4 Engine  fast  Scaled(Uas27);
    0x11  THROTTLE_POS                    "Throttle Position"                                            3 Engine  fast  Scaled(Percent);
    0x12  AIR_STATUS                      "Secondary Air Status"                                         3 Engine  fast  Bit(SECONDARY_AIR);
    0x13  O2_SENSORS                      "O2 Sensors Present"                                           3 Engine  fast  Sensors(2);
    0x14  O2_B1S1                         "O2: Bank 1 - Sensor 1 Voltage"                                4 Engine  fast  Part(0, 1, OxygenVolt);
    0x15  O2_B1S2                         "O2: Bank 1 - Sensor 2 Voltage"                                4 Engine  fast  Part(0, 1, OxygenVolt);
    0x16  O2_B1S3                         "O2: Bank 1 - Sensor 3 Voltage"                                4 Engine  fast  Part(0, 1, OxygenVolt);
    0x17  O2_B1S4                         "O2: Bank 1 - Sensor 4 Voltage"                                4 Engine  fast  Part(0, 1, OxygenVolt);
    0x18  O2_B2S1                         "O2: Bank 2 - Sensor 1 Voltage"                                4 Engine  fast  Part(0, 1, OxygenVolt);
    0x19  O2_B2S2                         "O2: Bank 2 - Sensor 2 Voltage"                                4 Engine  fast  Part(0, 1, OxygenVolt);
    0x1A  O2_B2S3                         "O2: Bank 2 - Sensor 3 Voltage"                                4 Engine  fast  Part(0, 1, OxygenVolt);
    0x1B  O2_B2S4                         "O2: Bank 2 - Sensor 4 Voltage"                                4 Engine  fast  Part(0, 1, OxygenVolt);
    0x1C  OBD_COMPLIANCE                  "OBD Standards Compliance"                                     3 Engine  fast  Listed(0, COMPLIANCE);
    0x1D  O2_SENSORS_ALT                  "O2 Sensors Present (alternate)"                               3 Engine  fast  Sensors(4);
    0x1E  AUX_INPUT_STATUS                "Auxiliary input status (power take off)"                      3 Engine  fast  Flag(0);
    0x1F  RUN_TIME                        "Engine Run Time"                                              4 Engine  fast  Scaled(Uas12);
//  pid   name                            description                                                bytes ecu     pace  decoder
    0x20  PIDS_B                          "Supported PIDs [21-40]"                                       6 Engine  fast  Supported;
    0x21  DISTANCE_W_MIL                  "Distance Traveled with MIL on"                                4 Engine  fast  Scaled(Uas25);
    0x22  FUEL_RAIL_PRESSURE_VAC          "Fuel Rail Pressure (relative to vacuum)"                      4 Engine  fast  Scaled(Uas19);
    0x23  FUEL_RAIL_PRESSURE_DIRECT       "Fuel Rail Pressure (direct inject)"                           4 Engine  fast  Scaled(Uas1B);
    0x24  O2_S1_WR_VOLTAGE                "02 Sensor 1 WR Lambda Voltage"                                6 Engine  fast  Part(2, 2, OxygenWideVolt);
    0x25  O2_S2_WR_VOLTAGE                "02 Sensor 2 WR Lambda Voltage"                                6 Engine  fast  Part(2, 2, OxygenWideVolt);
    0x26  O2_S3_WR_VOLTAGE                "02 Sensor 3 WR Lambda Voltage"                                6 Engine  fast  Part(2, 2, OxygenWideVolt);
    0x27  O2_S4_WR_VOLTAGE                "02 Sensor 4 WR Lambda Voltage"                                6 Engine  fast  Part(2, 2, OxygenWideVolt);
    0x28  O2_S5_WR_VOLTAGE                "02 Sensor 5 WR Lambda Voltage"                                6 Engine  fast  Part(2, 2, OxygenWideVolt);
    0x29  O2_S6_WR_VOLTAGE                "02 Sensor 6 WR Lambda Voltage"                                6 Engine  fast  Part(2, 2, OxygenWideVolt);
    0x2A  O2_S7_WR_VOLTAGE                "02 Sensor 7 WR Lambda Voltage"                                6 Engine  fast  Part(2, 2, OxygenWideVolt);
    0x2B  O2_S8_WR_VOLTAGE                "02 Sensor 8 WR Lambda Voltage"                                6 Engine  fast  Part(2, 2, OxygenWideVolt);
    0x2C  COMMANDED_EGR                   "Commanded EGR"                                                3 Engine  fast  Scaled(Percent);
    0x2D  EGR_ERROR                       "EGR Error"                                                    3 Engine  fast  Scaled(PercentCentered);
    0x2E  EVAPORATIVE_PURGE               "Commanded Evaporative Purge"                                  3 Engine  fast  Scaled(Percent);
    0x2F  FUEL_LEVEL                      "Fuel Level Input"                                             3 Engine  fast  Scaled(Percent);
    0x30  WARMUPS_SINCE_DTC_CLEAR         "Number of warm-ups since codes cleared"                       3 Engine  fast  Scaled(Uas01);
    0x31  DISTANCE_SINCE_DTC_CLEAR        "Distance traveled since codes cleared"                        4 Engine  fast  Scaled(Uas25);
    0x32  EVAP_VAPOR_PRESSURE             "Evaporative system vapor pressure"                            4 Engine  fast  Scaled(EvapPressure);
    0x33  BAROMETRIC_PRESSURE             "Barometric Pressure"                                          3 Engine  fast  Scaled(Kilopascal);
    0x34  O2_S1_WR_CURRENT                "02 Sensor 1 WR Lambda Current"                                6 Engine  fast  Part(2, 2, OxygenCurrent);
    0x35  O2_S2_WR_CURRENT                "02 Sensor 2 WR Lambda Current"                                6 Engine  fast  Part(2, 2, OxygenCurrent);
    0x36  O2_S3_WR_CURRENT                "02 Sensor 3 WR Lambda Current"                                6 Engine  fast  Part(2, 2, OxygenCurrent);
    0x37  O2_S4_WR_CURRENT                "02 Sensor 4 WR Lambda Current"                                6 Engine  fast  Part(2, 2, OxygenCurrent);
    0x38  O2_S5_WR_CURRENT                "02 Sensor 5 WR Lambda Current"                                6 Engine  fast  Part(2, 2, OxygenCurrent);
    0x39  O2_S6_WR_CURRENT                "02 Sensor 6 WR Lambda Current"                                6 Engine  fast  Part(2, 2, OxygenCurrent);
    0x3A  O2_S7_WR_CURRENT                "02 Sensor 7 WR Lambda Current"                                6 Engine  fast  Part(2, 2, OxygenCurrent);
    0x3B  O2_S8_WR_CURRENT                "02 Sensor 8 WR Lambda Current"                                6 Engine  fast  Part(2, 2, OxygenCurrent);
    0x3C  CATALYST_TEMP_B1S1              "Catalyst Temperature: Bank 1 - Sensor 1"                      4 Engine  fast  Scaled(Uas16);
    0x3D  CATALYST_TEMP_B2S1              "Catalyst Temperature: Bank 2 - Sensor 1"                      4 Engine  fast  Scaled(Uas16);
    0x3E  CATALYST_TEMP_B1S2              "Catalyst Temperature: Bank 1 - Sensor 2"                      4 Engine  fast  Scaled(Uas16);
    0x3F  CATALYST_TEMP_B2S2              "Catalyst Temperature: Bank 2 - Sensor 2"                      4 Engine  fast  Scaled(Uas16);
//  pid   name                            description                                                bytes ecu     pace  decoder
    0x40  PIDS_C                          "Supported PIDs [41-60]"                                       6 Engine  fast  Supported;
    0x41  STATUS_DRIVE_CYCLE              "Monitor status this drive cycle"                              6 Engine  fast  Status;
    0x42  CONTROL_MODULE_VOLTAGE          "Control module voltage"                                       4 Engine  fast  Scaled(Uas0B);
    0x43  ABSOLUTE_LOAD                   "Absolute load value"                                          4 Engine  fast  Scaled(Percent);
    0x44  COMMANDED_EQUIV_RATIO           "Commanded equivalence ratio"                                  4 Engine  fast  Scaled(Uas1E);
    0x45  RELATIVE_THROTTLE_POS           "Relative throttle position"                                   3 Engine  fast  Scaled(Percent);
    0x46  AMBIANT_AIR_TEMP                "Ambient air temperature"                                      3 Engine  fast  Scaled(Celsius);
    0x47  THROTTLE_POS_B                  "Absolute throttle position B"                                 3 Engine  fast  Scaled(Percent);
    0x48  THROTTLE_POS_C                  "Absolute throttle position C"                                 3 Engine  fast  Scaled(Percent);
    0x49  ACCELERATOR_POS_D               "Accelerator pedal position D"                                 3 Engine  fast  Scaled(Percent);
    0x4A  ACCELERATOR_POS_E               "Accelerator pedal position E"                                 3 Engine  fast  Scaled(Percent);
    0x4B  ACCELERATOR_POS_F               "Accelerator pedal position F"                                 3 Engine  fast  Scaled(Percent);
    0x4C  THROTTLE_ACTUATOR               "Commanded throttle actuator"                                  3 Engine  fast  Scaled(Percent);
    0x4D  RUN_TIME_MIL                    "Time run with MIL on"                                         4 Engine  fast  Scaled(Uas34);
    0x4E  TIME_SINCE_DTC_CLEARED          "Time since trouble codes cleared"                             4 Engine  fast  Scaled(Uas34);
    0x4F  MAX_VALUES                      "Various Max values"                                           6 Engine  fast  Signals(layout(0x4F));
    0x50  MAX_MAF                         "Maximum value for mass air flow sensor"                       6 Engine  fast  Part(0, 1, MaxAirFlow);
    0x51  FUEL_TYPE                       "Fuel Type"                                                    3 Engine  fast  Listed(0, FUEL);
    0x52  ETHANOL_PERCENT                 "Ethanol Fuel Percent"                                         3 Engine  fast  Scaled(Percent);
    0x53  EVAP_VAPOR_PRESSURE_ABS         "Absolute Evap system Vapor Pressure"                          4 Engine  fast  Scaled(EvapPressureAbs);
    0x54  EVAP_VAPOR_PRESSURE_ALT         "Evap system vapor pressure"                                   4 Engine  fast  Scaled(EvapPressureWide);
    0x55  SHORT_O2_TRIM_B1                "Short term secondary O2 trim - Bank 1"                        4 Engine  fast  Part(0, 1, PercentCentered);
    0x56  LONG_O2_TRIM_B1                 "Long term secondary O2 trim - Bank 1"                         4 Engine  fast  Part(0, 1, PercentCentered);
    0x57  SHORT_O2_TRIM_B2                "Short term secondary O2 trim - Bank 2"                        4 Engine  fast  Part(0, 1, PercentCentered);
    0x58  LONG_O2_TRIM_B2                 "Long term secondary O2 trim - Bank 2"                         4 Engine  fast  Part(0, 1, PercentCentered);
    0x59  FUEL_RAIL_PRESSURE_ABS          "Fuel rail pressure (absolute)"                                4 Engine  fast  Scaled(Uas1B);
    0x5A  RELATIVE_ACCEL_POS              "Relative accelerator pedal position"                          3 Engine  fast  Scaled(Percent);
    0x5B  HYBRID_BATTERY_REMAINING        "Hybrid battery pack remaining life"                           3 Engine  fast  Scaled(Percent);
    0x5C  OIL_TEMP                        "Engine oil temperature"                                       3 Engine  fast  Scaled(Celsius);
    0x5D  FUEL_INJECT_TIMING              "Fuel injection timing"                                        4 Engine  fast  Scaled(InjectionTiming);
    0x5E  FUEL_RATE                       "Engine fuel rate"                                             4 Engine  fast  Scaled(FuelRate);
    0x5F  EMISSION_REQ                    "Designed emission requirements"                               3 Engine  fast  Listed(14, EMISSION);
//  pid   name                            description                                                bytes ecu     pace  decoder
    0x60  PIDS_D                          "Supported PIDs [61-80]"                                     6 Engine  fast  Supported;
    0x61  TORQUE_DEMAND                   "Engine torque that the driver asks for"                     3 Engine  fast  Scaled(Torque);
    0x62  TORQUE                          "Actual engine torque"                                       3 Engine  fast  Scaled(Torque);
    0x63  REFERENCE_TORQUE                "Engine reference torque"                                    4 Engine  fast  Scaled(NewtonMeters);
    0x64  TORQUE_POINTS                   "Engine torque curve"                                        7 Engine  fast  Signals(layout(0x64));
    0x65  AUXILIARY_IO                    "Auxiliary inputs and outputs"                               4 Engine  fast  Signals(layout(0x65));
    0x66  MAF_SENSORS                     "Mass air flow sensors"                                      7 Engine  fast  Signals(layout(0x66));
    0x67  COOLANT_TEMPS                   "Engine coolant temperature sensors"                         5 Engine  fast  Signals(layout(0x67));
    0x68  INTAKE_TEMPS                    "Intake air temperature sensors"                             9 Engine  fast  Signals(layout(0x68));
    0x69  EGR                             "Commanded and actual EGR, EGR error"                        9 Engine  fast  Signals(layout(0x69));
    0x6A  DIESEL_INTAKE_FLOW              "Diesel intake air flow control"                             7 Engine  fast  Signals(layout(0x6A));
    0x6B  EGR_TEMPS                       "EGR temperature sensors"                                    7 Engine  fast  Signals(layout(0x6B));
    0x6C  THROTTLES                       "Throttle actuators and positions"                           7 Engine  fast  Signals(layout(0x6C));
    0x6D  FUEL_RAILS                      "Fuel rail pressure control"                                13 Engine  fast  Signals(layout(0x6D));
    0x6E  INJECTION_PRESSURES             "Injection pressure control"                                11 Engine  fast  Signals(layout(0x6E));
    0x6F  TURBO_INLET_PRESSURES           "Turbocharger compressor inlet pressure"                     5 Engine  fast  Signals(layout(0x6F));
    0x70  BOOST_PRESSURES                 "Boost pressure control"                                    12 Engine  fast  Signals(layout(0x70));
    0x71  TURBO_GEOMETRY                  "Variable geometry turbocharger control"                     8 Engine  fast  Signals(layout(0x71));
    0x72  WASTEGATES                      "Wastegate control"                                          7 Engine  fast  Signals(layout(0x72));
    0x73  EXHAUST_PRESSURES               "Exhaust pressure"                                           7 Engine  fast  Signals(layout(0x73));
    0x74  TURBO_SPEEDS                    "Turbocharger speed"                                         7 Engine  fast  Signals(layout(0x74));
    0x75  TURBO_TEMPS_A                   "Turbocharger A temperatures"                                9 Engine  fast  Signals(layout(0x75));
    0x76  TURBO_TEMPS_B                   "Turbocharger B temperatures"                                9 Engine  fast  Signals(layout(0x76));
    0x77  CHARGE_AIR_TEMPS                "Charge air cooler temperatures"                             7 Engine  fast  Signals(layout(0x77));
    0x78  EXHAUST_TEMPS_B1                "Exhaust gas temperatures, bank 1"                          11 Engine  fast  Signals(layout(0x78));
    0x79  EXHAUST_TEMPS_B2                "Exhaust gas temperatures, bank 2"                          11 Engine  fast  Signals(layout(0x79));
    0x7A  FILTER_PRESSURES_B1             "Particulate filter pressures, bank 1"                       9 Engine  fast  Signals(layout(0x7A));
    0x7B  FILTER_PRESSURES_B2             "Particulate filter pressures, bank 2"                       9 Engine  fast  Signals(layout(0x7B));
    0x7C  FILTER_TEMPS                    "Particulate filter temperatures"                           11 Engine  fast  Signals(layout(0x7C));
    0x7D  NOX_NTE_AREA                    "NOx not-to-exceed control area"                             3 Engine  fast  Signals(layout(0x7D));
    0x7E  PM_NTE_AREA                     "Particulates not-to-exceed control area"                    3 Engine  fast  Signals(layout(0x7E));
    0x7F  ENGINE_RUN_TIMES                "Engine run times"                                          15 Engine  fast  Signals(layout(0x7F));
//  pid   name                            description                                                bytes ecu     pace  decoder
    0x80  PIDS_E                          "Supported PIDs [81-A0]"                                     6 Engine  fast  Supported;
    0x81  AECD_TIMES_1                    "Run times of emission control devices 1 to 5"              43 Engine  fast  Signals(layout(0x81));
    0x82  AECD_TIMES_6                    "Run times of emission control devices 6 to 10"             43 Engine  fast  Signals(layout(0x82));
    0x83  NOX_SENSORS                     "NOx sensors"                                               11 Engine  fast  Signals(layout(0x83));
    0x84  MANIFOLD_TEMP                   "Manifold surface temperature"                               3 Engine  fast  Scaled(Celsius);
    0x85  NOX_REAGENT                     "NOx reagent system"                                        12 Engine  fast  Signals(layout(0x85));
    0x86  PM_SENSORS                      "Particulate matter sensors"                                 7 Engine  fast  Signals(layout(0x86));
    0x87  INTAKE_PRESSURES                "Intake manifold absolute pressures"                         7 Engine  fast  Signals(layout(0x87));
    0x88  SCR_INDUCEMENT                  "SCR inducement system"                                     15 Engine  fast  Signals(layout(0x88));
    0x89  AECD_TIMES_11                   "Run times of emission control devices 11 to 15"            43 Engine  fast  Signals(layout(0x89));
    0x8A  AECD_TIMES_16                   "Run times of emission control devices 16 to 20"            43 Engine  fast  Signals(layout(0x8A));
    0x8B  DIESEL_AFTERTREATMENT           "Diesel aftertreatment"                                      9 Engine  fast  Signals(layout(0x8B));
    0x8C  O2_CONCENTRATIONS               "O2 concentration, sensors 1 and 2 of both banks"           19 Engine  fast  Signals(layout(0x8C));
    0x8D  THROTTLE_POS_G                  "Absolute throttle position G"                               3 Engine  fast  Scaled(Percent);
    0x8E  FRICTION_TORQUE                 "Engine friction torque"                                     3 Engine  fast  Scaled(Torque);
    0x8F  PM_SENSOR_STATES                "Particulate matter sensor states"                           9 Engine  fast  Signals(layout(0x8F));
    0x90  WWH_VEHICLE_1                   "WWH-OBD malfunction indicator of the vehicle"               5 Engine  fast  Signals(layout(0x90));
    0x91  WWH_ECU                         "WWH-OBD malfunction indicator of the ECU"                   7 Engine  fast  Signals(layout(0x91));
    0x92  FUEL_CONTROL                    "Fuel system control"                                        4 Engine  fast  Signals(layout(0x92));
    0x93  WWH_COUNTERS                    "WWH-OBD counters"                                           5 Engine  fast  Signals(layout(0x93));
    0x94  NOX_INDUCEMENT                  "NOx warning and inducement"                                14 Engine  fast  Signals(layout(0x94));
    0x95  SCR_STORAGE                     "SCR ammonia storage"                                        0 Engine  fast  Bytes;
    0x96  HC_INJECTION                    "Hydrocarbon injection of the aftertreatment"                8 Engine  fast  Signals(layout(0x96));
    0x97  NOX_MASS                        "NOx mass at engine and tailpipe"                            0 Engine  fast  Bytes;
    0x98  EXHAUST_TEMPS_B1_5              "Exhaust gas temperatures, bank 1, sensors 5 to 8"          11 Engine  fast  Signals(layout(0x98));
    0x99  EXHAUST_TEMPS_B2_5              "Exhaust gas temperatures, bank 2, sensors 5 to 8"          11 Engine  fast  Signals(layout(0x99));
    0x9A  HYBRID_BATTERY                  "Hybrid or electric vehicle battery"                         8 Engine  fast  Signals(layout(0x9A));
    0x9B  DEF_SENSOR                      "Diesel exhaust fluid sensor"                                6 Engine  fast  Signals(layout(0x9B));
    0x9C  O2_CONCENTRATIONS_3             "O2 concentration, sensors 3 and 4 of both banks"           19 Engine  fast  Signals(layout(0x9C));
    0x9D  FUEL_FLOWS                      "Engine and vehicle fuel rate"                               6 Engine  fast  Signals(layout(0x9D));
    0x9E  EXHAUST_FLOW                    "Engine exhaust flow rate"                                   4 Engine  fast  Scaled(ExhaustFlow);
    0x9F  FUEL_SHARES                     "Fuel system percentage use"                                11 Engine  fast  Signals(layout(0x9F));
//  pid   name                            description                                                bytes ecu     pace  decoder
    0xA0  PIDS_F                          "Supported PIDs [A1-C0]"                                     6 Engine  fast  Supported;
    0xA1  NOX_CORRECTED                   "NOx sensors, corrected"                                    11 Engine  fast  Signals(layout(0xA1));
    0xA2  CYLINDER_FUEL_RATE              "Cylinder fuel rate"                                         4 Engine  fast  Scaled(CylinderRate);
    0xA3  EVAP_PRESSURES                  "Evaporative system vapor pressures"                        11 Engine  fast  Signals(layout(0xA3));
    0xA4  GEAR                            "Transmission actual gear"                                   6 Engine  fast  Signals(layout(0xA4));
    0xA5  DEF_DOSING                      "Diesel exhaust fluid dosing"                                6 Engine  fast  Signals(layout(0xA5));
    0xA6  ODOMETER                        "Odometer"                                                   6 Engine  fast  Scaled(Odometer);
    0xA7  NOX_SENSORS_3                   "NOx sensors 3 and 4"                                       11 Engine  fast  Signals(layout(0xA7));
    0xA8  NOX_CORRECTED_3                 "NOx sensors 3 and 4, corrected"                            11 Engine  fast  Signals(layout(0xA8));
    0xA9  ABS_SWITCH                      "Antilock brake disable switch"                              6 Engine  fast  Signals(layout(0xA9));
    0xAA  LIMITER_SPEED                   "Speed limiter set speed"                                    3 Engine  fast  Scaled(Uas09);
    0xAB  ALTERNATIVE_FUEL                "Alternative fuel data"                                     11 Engine  fast  Signals(layout(0xAB));
    0xAC  DEF_MAX_DOSING                  "Maximum diesel exhaust fluid dosing"                        0 Engine  fast  Bytes;
    0xAD  CRANKCASE                       "Crankcase ventilation"                                      7 Engine  fast  Signals(layout(0xAD));
    0xAE  PURGE_PRESSURES                 "Evaporative system purge pressure"                          7 Engine  fast  Signals(layout(0xAE));
    0xAF  AIR_FLOW_TARGET                 "Commanded air flow"                                         4 Engine  fast  Scaled(MassFlow20);
    0xB0  EGR_FLOWS                       "EGR mass flow"                                              7 Engine  fast  Signals(layout(0xB0));
    0xB1  INTAKE_INJECTION                "Injection near the intake valves"                           8 Engine  fast  Signals(layout(0xB1));
    0xB2  HYBRID_BATTERY_HEALTH           "Hybrid or electric vehicle battery health"                  3 Engine  fast  Scaled(Percent);
    0xB3  PACK_ACR                        "Battery packs: ACR"                                         0 Engine  fast  Bytes;
    0xB4  PACK_TEMPS                      "Battery packs: temperature"                                12 Engine  fast  Signals(layout(0xB4));
    0xB5  PACK_CURRENTS                   "Battery packs: current"                                     0 Engine  fast  Bytes;
    0xB6  PACK_VOLTAGES                   "Battery packs: voltage"                                    21 Engine  fast  Signals(layout(0xB6));
    0xB7  BATTERY_TEMPS                   "Battery temperatures"                                       9 Engine  fast  Signals(layout(0xB7));
    0xB8  BATTERY_BALANCED                "Time since the battery was balanced"                        4 Engine  fast  Scaled(Uas34);
    0xB9  CELL_VOLTAGES                   "Battery cell voltages"                                      6 Engine  fast  Signals(layout(0xB9));
    0xBA  BATTERY_LIMITS                  "Battery power and current limits"                           7 Engine  fast  Signals(layout(0xBA));
    0xBB  PACK_ENERGY_IN                  "Battery packs: energy in"                                  39 Engine  fast  Signals(layout(0xBB));
    0xBC  PACK_ENERGY_OUT                 "Battery packs: energy out"                                 39 Engine  fast  Signals(layout(0xBC));
    0xBD  PACK_ENERGY_THROUGHPUT          "Battery packs: energy throughput"                          39 Engine  fast  Signals(layout(0xBD));
    0xBE  PACK_HEALTH                     "Battery packs: health"                                     12 Engine  fast  Signals(layout(0xBE));
    0xBF  PACK_MIN_CHARGE                 "Battery packs: minimum charge"                             21 Engine  fast  Signals(layout(0xBF));
//  pid   name                            description                                                bytes ecu     pace  decoder
    0xC0  PIDS_G                          "Supported PIDs [C1-E0]"                                     6 Engine  fast  Supported;
    0xC1  PACK_MAX_CHARGE                 "Battery packs: maximum charge"                             21 Engine  fast  Signals(layout(0xC1));
    0xC2  PACK_CAPACITY                   "Battery packs: energy capacity"                            30 Engine  fast  Signals(layout(0xC2));
    0xC3  FUEL_LEVELS                     "Fuel levels A and B"                                        5 Engine  fast  Signals(layout(0xC3));
    0xC4  PM_DIAGNOSIS                    "Particulate control diagnosis"                             10 Engine  fast  Signals(layout(0xC4));
    0xC5  FUEL_PRESSURES                  "Fuel pressures A and B"                                     0 Engine  fast  Bytes;
    0xC6  PM_INDUCEMENT                   "Particulate control warning and inducement"                10 Engine  fast  Signals(layout(0xC6));
    0xC7  REFLASH_DISTANCE                "Distance since programming or replacement"                  4 Engine  fast  Scaled(Uas25);
    0xC8  EMISSION_LAMPS                  "Emission control warning lamps"                             3 Engine  fast  Signals(layout(0xC8));
    0xD2  CERTIFIED_STATE                 "State of certified energy and range"                        5 Engine  fast  Signals(layout(0xD2));
    0xD3  ENGINE_ODOMETER                 "Engine odometer"                                            6 Engine  fast  Scaled(Odometer);
}

#[rustfmt::skip]
commands! {
    /// Service 03: confirmed trouble codes.
    SERVICE_03 0x03;
//  pid   name                            description                                                bytes ecu     pace  decoder
    -     GET_DTC                         "Get DTCs"                                                     0 All     slow  Codes;
}

#[rustfmt::skip]
commands! {
    /// Service 04: clear them.
    SERVICE_04 0x04;
//  pid   name                            description                                                bytes ecu     pace  decoder
    -     CLEAR_DTC                       "Clear DTCs and Freeze data"                                   0 All     slow  Done;
}

#[rustfmt::skip]
commands! {
    /// Service 05: oxygen sensor tests, on buses other than CAN. A test number is followed by the number of the sensor.
    SERVICE_05 0x05;
//  pid   name                            description                                                bytes ecu     pace  decoder
    0x00  O2_TESTS_A                      "Supported oxygen sensor tests [01-20]"                        0 All     slow  Supported;
    0x01  O2_TEST_RTL_THRESHOLD           "Rich to lean sensor threshold voltage"                        0 All     slow  Part(0, 1, OxygenVolt);
    0x02  O2_TEST_LTR_THRESHOLD           "Lean to rich sensor threshold voltage"                        0 All     slow  Part(0, 1, OxygenVolt);
    0x03  O2_TEST_LOW_VOLTAGE             "Low sensor voltage for switch time calculation"               0 All     slow  Part(0, 1, OxygenVolt);
    0x04  O2_TEST_HIGH_VOLTAGE            "High sensor voltage for switch time calculation"              0 All     slow  Part(0, 1, OxygenVolt);
    0x05  O2_TEST_RTL_TIME                "Rich to lean sensor switch time"                              0 All     slow  Part(0, 1, Millisecond4);
    0x06  O2_TEST_LTR_TIME                "Lean to rich sensor switch time"                              0 All     slow  Part(0, 1, Millisecond4);
    0x07  O2_TEST_MIN_VOLTAGE             "Minimum sensor voltage for test cycle"                        0 All     slow  Part(0, 1, OxygenVolt);
    0x08  O2_TEST_MAX_VOLTAGE             "Maximum sensor voltage for test cycle"                        0 All     slow  Part(0, 1, OxygenVolt);
    0x09  O2_TEST_TRANSITION_TIME         "Time between sensor transitions"                              0 All     slow  Part(0, 1, Millisecond40);
    0x0A  O2_TEST_PERIOD                  "Sensor period"                                                0 All     slow  Part(0, 1, Millisecond40);
}

#[rustfmt::skip]
commands! {
    /// Service 06: on-board monitors.
    SERVICE_06 0x06;
//  pid   name                            description                                                bytes ecu     pace  decoder
    0x00  MIDS_A                          "Supported MIDs [01-20]"                                       0 All     slow  Supported;
    0x01  MONITOR_O2_B1S1                 "O2 Sensor Monitor Bank 1 - Sensor 1"                          0 All     slow  Tests;
    0x02  MONITOR_O2_B1S2                 "O2 Sensor Monitor Bank 1 - Sensor 2"                          0 All     slow  Tests;
    0x03  MONITOR_O2_B1S3                 "O2 Sensor Monitor Bank 1 - Sensor 3"                          0 All     slow  Tests;
    0x04  MONITOR_O2_B1S4                 "O2 Sensor Monitor Bank 1 - Sensor 4"                          0 All     slow  Tests;
    0x05  MONITOR_O2_B2S1                 "O2 Sensor Monitor Bank 2 - Sensor 1"                          0 All     slow  Tests;
    0x06  MONITOR_O2_B2S2                 "O2 Sensor Monitor Bank 2 - Sensor 2"                          0 All     slow  Tests;
    0x07  MONITOR_O2_B2S3                 "O2 Sensor Monitor Bank 2 - Sensor 3"                          0 All     slow  Tests;
    0x08  MONITOR_O2_B2S4                 "O2 Sensor Monitor Bank 2 - Sensor 4"                          0 All     slow  Tests;
    0x09  MONITOR_O2_B3S1                 "O2 Sensor Monitor Bank 3 - Sensor 1"                          0 All     slow  Tests;
    0x0A  MONITOR_O2_B3S2                 "O2 Sensor Monitor Bank 3 - Sensor 2"                          0 All     slow  Tests;
    0x0B  MONITOR_O2_B3S3                 "O2 Sensor Monitor Bank 3 - Sensor 3"                          0 All     slow  Tests;
    0x0C  MONITOR_O2_B3S4                 "O2 Sensor Monitor Bank 3 - Sensor 4"                          0 All     slow  Tests;
    0x0D  MONITOR_O2_B4S1                 "O2 Sensor Monitor Bank 4 - Sensor 1"                          0 All     slow  Tests;
    0x0E  MONITOR_O2_B4S2                 "O2 Sensor Monitor Bank 4 - Sensor 2"                          0 All     slow  Tests;
    0x0F  MONITOR_O2_B4S3                 "O2 Sensor Monitor Bank 4 - Sensor 3"                          0 All     slow  Tests;
    0x10  MONITOR_O2_B4S4                 "O2 Sensor Monitor Bank 4 - Sensor 4"                          0 All     slow  Tests;
    0x20  MIDS_B                          "Supported MIDs [21-40]"                                       0 All     slow  Supported;
    0x21  MONITOR_CATALYST_B1             "Catalyst Monitor Bank 1"                                      0 All     slow  Tests;
    0x22  MONITOR_CATALYST_B2             "Catalyst Monitor Bank 2"                                      0 All     slow  Tests;
    0x23  MONITOR_CATALYST_B3             "Catalyst Monitor Bank 3"                                      0 All     slow  Tests;
    0x24  MONITOR_CATALYST_B4             "Catalyst Monitor Bank 4"                                      0 All     slow  Tests;
    0x31  MONITOR_EGR_B1                  "EGR Monitor Bank 1"                                           0 All     slow  Tests;
    0x32  MONITOR_EGR_B2                  "EGR Monitor Bank 2"                                           0 All     slow  Tests;
    0x33  MONITOR_EGR_B3                  "EGR Monitor Bank 3"                                           0 All     slow  Tests;
    0x34  MONITOR_EGR_B4                  "EGR Monitor Bank 4"                                           0 All     slow  Tests;
    0x35  MONITOR_VVT_B1                  "VVT Monitor Bank 1"                                           0 All     slow  Tests;
    0x36  MONITOR_VVT_B2                  "VVT Monitor Bank 2"                                           0 All     slow  Tests;
    0x37  MONITOR_VVT_B3                  "VVT Monitor Bank 3"                                           0 All     slow  Tests;
    0x38  MONITOR_VVT_B4                  "VVT Monitor Bank 4"                                           0 All     slow  Tests;
    0x39  MONITOR_EVAP_150                "EVAP Monitor (Cap Off / 0.150\")"                             0 All     slow  Tests;
    0x3A  MONITOR_EVAP_090                "EVAP Monitor (0.090\")"                                       0 All     slow  Tests;
//  pid   name                            description                                                bytes ecu     pace  decoder
    0x3B  MONITOR_EVAP_040                "EVAP Monitor (0.040\")"                                       0 All     slow  Tests;
    0x3C  MONITOR_EVAP_020                "EVAP Monitor (0.020\")"                                       0 All     slow  Tests;
    0x3D  MONITOR_PURGE_FLOW              "Purge Flow Monitor"                                           0 All     slow  Tests;
    0x40  MIDS_C                          "Supported MIDs [41-60]"                                       0 All     slow  Supported;
    0x41  MONITOR_O2_HEATER_B1S1          "O2 Sensor Heater Monitor Bank 1 - Sensor 1"                   0 All     slow  Tests;
    0x42  MONITOR_O2_HEATER_B1S2          "O2 Sensor Heater Monitor Bank 1 - Sensor 2"                   0 All     slow  Tests;
    0x43  MONITOR_O2_HEATER_B1S3          "O2 Sensor Heater Monitor Bank 1 - Sensor 3"                   0 All     slow  Tests;
    0x44  MONITOR_O2_HEATER_B1S4          "O2 Sensor Heater Monitor Bank 1 - Sensor 4"                   0 All     slow  Tests;
    0x45  MONITOR_O2_HEATER_B2S1          "O2 Sensor Heater Monitor Bank 2 - Sensor 1"                   0 All     slow  Tests;
    0x46  MONITOR_O2_HEATER_B2S2          "O2 Sensor Heater Monitor Bank 2 - Sensor 2"                   0 All     slow  Tests;
    0x47  MONITOR_O2_HEATER_B2S3          "O2 Sensor Heater Monitor Bank 2 - Sensor 3"                   0 All     slow  Tests;
    0x48  MONITOR_O2_HEATER_B2S4          "O2 Sensor Heater Monitor Bank 2 - Sensor 4"                   0 All     slow  Tests;
    0x49  MONITOR_O2_HEATER_B3S1          "O2 Sensor Heater Monitor Bank 3 - Sensor 1"                   0 All     slow  Tests;
    0x4A  MONITOR_O2_HEATER_B3S2          "O2 Sensor Heater Monitor Bank 3 - Sensor 2"                   0 All     slow  Tests;
    0x4B  MONITOR_O2_HEATER_B3S3          "O2 Sensor Heater Monitor Bank 3 - Sensor 3"                   0 All     slow  Tests;
    0x4C  MONITOR_O2_HEATER_B3S4          "O2 Sensor Heater Monitor Bank 3 - Sensor 4"                   0 All     slow  Tests;
    0x4D  MONITOR_O2_HEATER_B4S1          "O2 Sensor Heater Monitor Bank 4 - Sensor 1"                   0 All     slow  Tests;
    0x4E  MONITOR_O2_HEATER_B4S2          "O2 Sensor Heater Monitor Bank 4 - Sensor 2"                   0 All     slow  Tests;
    0x4F  MONITOR_O2_HEATER_B4S3          "O2 Sensor Heater Monitor Bank 4 - Sensor 3"                   0 All     slow  Tests;
    0x50  MONITOR_O2_HEATER_B4S4          "O2 Sensor Heater Monitor Bank 4 - Sensor 4"                   0 All     slow  Tests;
    0x60  MIDS_D                          "Supported MIDs [61-80]"                                       0 All     slow  Supported;
    0x61  MONITOR_HEATED_CATALYST_B1      "Heated Catalyst Monitor Bank 1"                               0 All     slow  Tests;
    0x62  MONITOR_HEATED_CATALYST_B2      "Heated Catalyst Monitor Bank 2"                               0 All     slow  Tests;
    0x63  MONITOR_HEATED_CATALYST_B3      "Heated Catalyst Monitor Bank 3"                               0 All     slow  Tests;
    0x64  MONITOR_HEATED_CATALYST_B4      "Heated Catalyst Monitor Bank 4"                               0 All     slow  Tests;
    0x71  MONITOR_SECONDARY_AIR_1         "Secondary Air Monitor 1"                                      0 All     slow  Tests;
    0x72  MONITOR_SECONDARY_AIR_2         "Secondary Air Monitor 2"                                      0 All     slow  Tests;
    0x73  MONITOR_SECONDARY_AIR_3         "Secondary Air Monitor 3"                                      0 All     slow  Tests;
    0x74  MONITOR_SECONDARY_AIR_4         "Secondary Air Monitor 4"                                      0 All     slow  Tests;
    0x80  MIDS_E                          "Supported MIDs [81-A0]"                                       0 All     slow  Supported;
    0x81  MONITOR_FUEL_SYSTEM_B1          "Fuel System Monitor Bank 1"                                   0 All     slow  Tests;
    0x82  MONITOR_FUEL_SYSTEM_B2          "Fuel System Monitor Bank 2"                                   0 All     slow  Tests;
//  pid   name                            description                                                bytes ecu     pace  decoder
    0x83  MONITOR_FUEL_SYSTEM_B3          "Fuel System Monitor Bank 3"                                   0 All     slow  Tests;
    0x84  MONITOR_FUEL_SYSTEM_B4          "Fuel System Monitor Bank 4"                                   0 All     slow  Tests;
    0x85  MONITOR_BOOST_PRESSURE_B1       "Boost Pressure Control Monitor Bank 1"                        0 All     slow  Tests;
    0x86  MONITOR_BOOST_PRESSURE_B2       "Boost Pressure Control Monitor Bank 1"                        0 All     slow  Tests;
    0x90  MONITOR_NOX_ABSORBER_B1         "NOx Absorber Monitor Bank 1"                                  0 All     slow  Tests;
    0x91  MONITOR_NOX_ABSORBER_B2         "NOx Absorber Monitor Bank 2"                                  0 All     slow  Tests;
    0x98  MONITOR_NOX_CATALYST_B1         "NOx Catalyst Monitor Bank 1"                                  0 All     slow  Tests;
    0x99  MONITOR_NOX_CATALYST_B2         "NOx Catalyst Monitor Bank 2"                                  0 All     slow  Tests;
    0xA0  MIDS_F                          "Supported MIDs [A1-C0]"                                       0 All     slow  Supported;
    0xA1  MONITOR_MISFIRE_GENERAL         "Misfire Monitor General Data"                                 0 All     slow  Tests;
    0xA2  MONITOR_MISFIRE_CYLINDER_1      "Misfire Cylinder 1 Data"                                      0 All     slow  Tests;
    0xA3  MONITOR_MISFIRE_CYLINDER_2      "Misfire Cylinder 2 Data"                                      0 All     slow  Tests;
    0xA4  MONITOR_MISFIRE_CYLINDER_3      "Misfire Cylinder 3 Data"                                      0 All     slow  Tests;
    0xA5  MONITOR_MISFIRE_CYLINDER_4      "Misfire Cylinder 4 Data"                                      0 All     slow  Tests;
    0xA6  MONITOR_MISFIRE_CYLINDER_5      "Misfire Cylinder 5 Data"                                      0 All     slow  Tests;
    0xA7  MONITOR_MISFIRE_CYLINDER_6      "Misfire Cylinder 6 Data"                                      0 All     slow  Tests;
    0xA8  MONITOR_MISFIRE_CYLINDER_7      "Misfire Cylinder 7 Data"                                      0 All     slow  Tests;
    0xA9  MONITOR_MISFIRE_CYLINDER_8      "Misfire Cylinder 8 Data"                                      0 All     slow  Tests;
    0xAA  MONITOR_MISFIRE_CYLINDER_9      "Misfire Cylinder 9 Data"                                      0 All     slow  Tests;
    0xAB  MONITOR_MISFIRE_CYLINDER_10     "Misfire Cylinder 10 Data"                                     0 All     slow  Tests;
    0xAC  MONITOR_MISFIRE_CYLINDER_11     "Misfire Cylinder 11 Data"                                     0 All     slow  Tests;
    0xAD  MONITOR_MISFIRE_CYLINDER_12     "Misfire Cylinder 12 Data"                                     0 All     slow  Tests;
    0xB0  MONITOR_PM_FILTER_B1            "PM Filter Monitor Bank 1"                                     0 All     slow  Tests;
    0xB1  MONITOR_PM_FILTER_B2            "PM Filter Monitor Bank 2"                                     0 All     slow  Tests;
    0xC0  MIDS_G                          "Supported MIDs [C1-E0]"                                       0 All     slow  Supported;
    0xE0  MIDS_H                          "Supported MIDs [E1-FF]"                                       0 All     slow  Supported;
}

#[rustfmt::skip]
commands! {
    /// Service 07: pending trouble codes.
    SERVICE_07 0x07;
//  pid   name                            description                                                bytes ecu     pace  decoder
    -     GET_CURRENT_DTC                 "Get DTCs from the current/last driving cycle"                 0 All     slow  Codes;
}

#[rustfmt::skip]
commands! {
    /// Service 08: control of on-board systems.
    SERVICE_08 0x08;
//  pid   name                            description                                                bytes ecu     pace  decoder
    0x00  CONTROLS_A                      "Supported controls [01-20]"                                   0 All     slow  Supported;
    0x01  CONTROL_EVAP_LEAK_TEST          "Evaporative system leak test"                                 0 All     slow  Bytes;
}

#[rustfmt::skip]
commands! {
    /// Service 09: vehicle information.
    SERVICE_09 0x09;
//  pid   name                            description                                                bytes ecu     pace  decoder
    0x00  PIDS_9A                         "Supported PIDs [01-20]"                                       7 All     fast  Supported;
    0x01  VIN_MESSAGE_COUNT               "VIN Message Count"                                            3 Engine  fast  Scaled(Counter);
    0x02  VIN                             "Vehicle Identification Number"                               22 Engine  fast  Text(17);
    0x03  CALIBRATION_ID_MESSAGE_COUNT    "Calibration ID message count for PID 04"                      3 All     fast  Scaled(Counter);
    0x04  CALIBRATION_ID                  "Calibration ID"                                              18 All     fast  Text(16);
    0x05  CVN_MESSAGE_COUNT               "CVN Message Count for PID 06"                                 3 All     fast  Scaled(Counter);
    0x06  CVN                             "Calibration Verification Numbers"                            10 All     fast  Numbers;
    0x07  PERFORMANCE_MESSAGE_COUNT       "In-use performance message count for PID 08"                  3 All     fast  Scaled(Counter);
    0x08  PERFORMANCE_SPARK               "In-use performance tracking (spark ignition)"                 0 All     fast  Counters(PERFORMANCE_SPARK_COUNTERS);
    0x09  ECU_NAME_MESSAGE_COUNT          "ECU name message count for PID 0A"                            3 All     fast  Scaled(Counter);
    0x0A  ECU_NAME                        "ECU name"                                                    22 All     fast  Text(20);
    0x0B  PERFORMANCE_COMPRESSION         "In-use performance tracking (compression ignition)"           0 All     fast  Counters(PERFORMANCE_COMPRESSION_COUNTERS);
    0x0C  ENGINE_SERIAL_MESSAGE_COUNT     "Engine serial number message count for PID 0D"                3 All     fast  Scaled(Counter);
    0x0D  ENGINE_SERIAL                   "Engine serial number"                                         0 All     fast  Text(17);
    0x0E  TYPE_APPROVAL_MESSAGE_COUNT     "Type approval number message count for PID 0F"                3 All     fast  Scaled(Counter);
    0x0F  TYPE_APPROVAL                   "Exhaust regulation or type approval number"                   0 All     fast  Text(17);
}

#[rustfmt::skip]
commands! {
    /// Service 0A: permanent trouble codes.
    SERVICE_0A 0x0A;
//  pid   name                            description                                                bytes ecu     pace  decoder
    -     GET_PERMANENT_DTC               "Get permanent DTCs"                                           0 All     slow  Codes;
}

#[rustfmt::skip]
commands! {
    /// The adapter's own commands.
    ADAPTER AT;
//  pid   name                            description                                                bytes ecu     pace  decoder
    "ATI" ELM_VERSION                     "ELM327 version string"                                        0 Unknown slow  Line;
    "ATRV" ELM_VOLTAGE                     "Voltage detected by OBD-II adapter"                           0 Unknown slow  Voltage;
}

/// Service 09, 08: how often monitors ran, spark ignition.
#[rustfmt::skip]
const PERFORMANCE_SPARK_COUNTERS: &[Signal] = &[
    counter(  0, "OBDCOND",    "monitoring conditions encountered"),
    counter( 16, "IGNCNTR",    "ignition cycles"),
    counter( 32, "CATCOMP1",   "catalyst, bank 1: completed"),
    counter( 48, "CATCOND1",   "catalyst, bank 1: conditions met"),
    counter( 64, "CATCOMP2",   "catalyst, bank 2: completed"),
    counter( 80, "CATCOND2",   "catalyst, bank 2: conditions met"),
    counter( 96, "O2SCOMP1",   "oxygen sensor, bank 1: completed"),
    counter(112, "O2SCOND1",   "oxygen sensor, bank 1: conditions met"),
    counter(128, "O2SCOMP2",   "oxygen sensor, bank 2: completed"),
    counter(144, "O2SCOND2",   "oxygen sensor, bank 2: conditions met"),
    counter(160, "EGRCOMP",    "EGR or VVT system: completed"),
    counter(176, "EGRCOND",    "EGR or VVT system: conditions met"),
    counter(192, "AIRCOMP",    "secondary air: completed"),
    counter(208, "AIRCOND",    "secondary air: conditions met"),
    counter(224, "EVAPCOMP",   "evaporative system: completed"),
    counter(240, "EVAPCOND",   "evaporative system: conditions met"),
    counter(256, "SO2SCOMP1",  "secondary oxygen sensor, bank 1: completed"),
    counter(272, "SO2SCOND1",  "secondary oxygen sensor, bank 1: conditions met"),
    counter(288, "SO2SCOMP2",  "secondary oxygen sensor, bank 2: completed"),
    counter(304, "SO2SCOND2",  "secondary oxygen sensor, bank 2: conditions met"),
    counter(320, "AFRICOMP1",  "air-fuel ratio imbalance, bank 1: completed"),
    counter(336, "AFRICOND1",  "air-fuel ratio imbalance, bank 1: conditions met"),
    counter(352, "AFRICOMP2",  "air-fuel ratio imbalance, bank 2: completed"),
    counter(368, "AFRICOND2",  "air-fuel ratio imbalance, bank 2: conditions met"),
    counter(384, "PFCOMP1",    "particulate filter, bank 1: completed"),
    counter(400, "PFCOND1",    "particulate filter, bank 1: conditions met"),
    counter(416, "PFCOMP2",    "particulate filter, bank 2: completed"),
    counter(432, "PFCOND2",    "particulate filter, bank 2: conditions met"),
];

/// Service 09, 0B: how often monitors ran, compression ignition.
#[rustfmt::skip]
const PERFORMANCE_COMPRESSION_COUNTERS: &[Signal] = &[
    counter(  0, "OBDCOND",    "monitoring conditions encountered"),
    counter( 16, "IGNCNTR",    "ignition cycles"),
    counter( 32, "HCCATCOMP",  "NMHC catalyst: completed"),
    counter( 48, "HCCATCOND",  "NMHC catalyst: conditions met"),
    counter( 64, "NCATCOMP",   "NOx catalyst: completed"),
    counter( 80, "NCATCOND",   "NOx catalyst: conditions met"),
    counter( 96, "NADSCOMP",   "NOx adsorber: completed"),
    counter(112, "NADSCOND",   "NOx adsorber: conditions met"),
    counter(128, "PMCOMP",     "particulate filter: completed"),
    counter(144, "PMCOND",     "particulate filter: conditions met"),
    counter(160, "EGSCOMP",    "exhaust gas sensor: completed"),
    counter(176, "EGSCOND",    "exhaust gas sensor: conditions met"),
    counter(192, "EGRCOMP",    "EGR or VVT system: completed"),
    counter(208, "EGRCOND",    "EGR or VVT system: conditions met"),
    counter(224, "BPCOMP",     "boost pressure: completed"),
    counter(240, "BPCOND",     "boost pressure: conditions met"),
    counter(256, "FUELCOMP",   "fuel system: completed"),
    counter(272, "FUELCOND",   "fuel system: conditions met"),
];

/// A counter of two bytes.
const fn counter(bit: u16, id: &'static str, name: &'static str) -> Signal {
    Signal { id, name, bit, bits: 16, support: None, kind: Kind::Scaled(Counter) }
}
